"""Builds a Mininet, pings all pairs once, and prints how long that took and what switches and controller weigh."""

import glob
import json
import os
import subprocess
import sys
import time

BEGAN = time.monotonic()
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'mininet'))

from mininet.log import setLogLevel  # noqa: E402
from mininet.net import Mininet  # noqa: E402
from mininet.node import OVSController, OVSSwitch, RemoteController  # noqa: E402
from mininet.topo import LinearTopo, SingleSwitchTopo  # noqa: E402
from mininet.topolib import TreeTopo  # noqa: E402

TOPOLOGIES = {'single': SingleSwitchTopo, 'linear': LinearTopo, 'tree': TreeTopo}


def user_space(name, **params):
    return OVSSwitch(name, **{**params, 'datapath': 'user', 'protocols': 'OpenFlow13'})


def mebibytes(*words):
    """Proportional set size of the processes with one of the words in their command line."""
    total = 0
    for path in glob.glob('/proc/[0-9]*/smaps_rollup'):
        try:
            with open(os.path.dirname(path) + '/cmdline') as file:
                command = file.read()
            if not any(word in command for word in words) or 'python3' in command and 'osken' not in command:
                continue
            with open(path) as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith('Pss:'))
        except OSError:
            pass
    return total / 1024


def main(setup, topology):
    setLogLevel('critical')
    kind, *numbers = topology.split(',')
    topo = TOPOLOGIES[kind](*map(int, numbers))
    began = BEGAN
    # Mininet's own way to wait for switches, which it does before every test; FlowcellSwitch has waited already.
    if setup.startswith('flowcell'):
        from flowcell import FlowcellController, FlowcellSwitch
        controller = lambda name: FlowcellController(  # noqa: E731
            name, granularity='five-tuple' if setup.endswith('five-tuple') else 'port')
        net = Mininet(topo=topo, switch=FlowcellSwitch, controller=controller, waitConnected=True)
    elif setup == 'ovs-testcontroller':
        net = Mininet(topo=topo, switch=user_space, controller=OVSController, waitConnected=True)
    else:
        manager = subprocess.Popen(
            ['osken-manager', '--ofp-listen-host', '127.0.0.1', '--ofp-tcp-listen-port', '6653',
             os.path.join(ROOT, 'bench/peers/osken_learning_switch.py')],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not subprocess.run(['ss', '-Hltn', 'sport = :6653'], stdout=subprocess.PIPE).stdout:
            time.sleep(0.02)
        # Its start is not counted.
        began = time.monotonic()
        net = Mininet(topo=topo, switch=user_space, controller=RemoteController, waitConnected=True)
    net.start()
    started = time.monotonic()
    lost = net.pingAll()
    done = time.monotonic()
    memory = mebibytes('cli/main.ts', 'sandbox/host/main.ts', 'ovs-', 'ovsdb-server', 'osken')
    print(json.dumps({'seconds': done - began, 'start_s': started - began, 'lost_percent': lost, 'mib': memory}), flush=True)
    net.stop()
    if setup == 'ovs-osken':
        manager.terminate()
        manager.wait()


if __name__ == '__main__':
    main(*sys.argv[1:])
