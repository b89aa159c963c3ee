"""A user's script: `script.py TEST`, with mininet/ on the path. Prints what the test looks for."""

import json
import os
import shutil
import signal
import subprocess
import sys

from flowcell import FlowcellController, FlowcellError, FlowcellSwitch
from mininet.log import setLogLevel
from mininet.link import TCLink
from mininet.net import Mininet
from mininet.topo import LinearTopo, SingleSwitchTopo
from scenario import PATIENCE_S, OsKenFaucetPipeline, both_ways, connected, patient, reaches as answers, until


def reaches(source, destination, **waiting):
    return answers(source, destination.IP(), **waiting)


def migration(net):
    """h1 moves from s1 to s2 and is reached there; s1 has one port less."""
    h1, h2, s1, s2 = net.get('h1', 'h2', 's1', 's2')
    print(reaches(h1, h2))
    old = h1.connectionsTo(s1)[0][1]
    net.delLinkBetween(h1, s1)
    s1.detach(old)
    link = net.addLink(h1, s2)
    h1.setIP('10.0.0.1/8', intf=link.intf1)
    patient(link.intf1)
    s2.attach(link.intf2)
    print(reaches(h1, h2), reaches(h2, h1), [len(s.state('/ports')) for s in (s1, s2)])


def late(net):
    """A switch and a host that come while the network runs."""
    s9, h9 = net.addSwitch('s9'), net.addHost('h9')
    net.addLink(h9, s9)
    s1 = net.get('s1')
    uplink = net.addLink(s1, s9)
    net.configHosts()
    patient(h9.defaultIntf())
    s1.attach(uplink.intf1)
    s9.start(net.controllers)
    print(s9.connected(), reaches(h9, net.get('h1')))


def again(net):
    """A switch that is stopped and started at the prompt."""
    h1, h2, s1 = net.get('h1', 'h2', 's1')
    # The hosts know each other from here on. Otherwise the ping that gets no answer leaves an ARP resolution under way that
    # has asked for the last time, and the next ping fails with it, whatever the switch does.
    print(reaches(h1, h2))
    s1.stop(deleteIntfs=False)
    print(reaches(h1, h2, seconds=2), s1.connected())
    s1.start(net.controllers)
    print(reaches(h1, h2), s1.connected())


def htb(interface):
    """Bytes that went through an interface's shaper, and how often it made packets wait."""
    shown = subprocess.run(['tc', '-s', '-j', 'qdisc', 'show', 'dev', interface], stdout=subprocess.PIPE, check=True)
    return [(qdisc['bytes'], qdisc['overlimits']) for qdisc in json.loads(shown.stdout) if qdisc['kind'] == 'htb']


def shaped():
    """What the switches send goes through the shaper of their link, all of it, and waits there."""
    net = Mininet(topo=None, switch=FlowcellSwitch, controller=FlowcellController, link=TCLink)
    net.addController('c0')
    s1, s2 = net.addSwitch('s1'), net.addSwitch('s2')
    h1, h2 = net.addHost('h1'), net.addHost('h2')
    net.addLink(h1, s1)
    net.addLink(h2, s2)
    net.addLink(s1, s2, bw=50)
    net.start()
    print(both_ways('tcp', h1, h2))
    for interface in ('s1-eth2', 's2-eth2'):
        [(sent, waited)] = htb(interface)
        # 2 MB each way for each of two connections.
        print(sent > 4_000_000, waited > 0)
    net.stop()


def faucet():
    """Two access VLANs, a trunk between two switches, and a router in each, as Faucet's tables do it."""
    net = Mininet(topo=None, switch=FlowcellSwitch, controller=OsKenFaucetPipeline, waitConnected=False)
    net.addController('c0')
    switches = [net.addSwitch('s%d' % n) for n in (1, 2)]
    for n, vlan in ((1, 1), (2, 2), (3, 1), (4, 2)):
        host = net.addHost('h%d' % n, ip='10.0.%d.%d/24' % (vlan, n), defaultRoute='via 10.0.%d.254' % vlan)
        net.addLink(host, switches[(n - 1) // 2])
    net.addLink(*switches)
    net.start()
    connected(net)
    h1, h2, h3, h4 = net.hosts
    # In a VLAN, over the trunk; between VLANs, on one switch and on two. The router asks for addresses first.
    print([bool(until(lambda: answers(a, b.IP(), seconds=2))) for a, b in ((h1, h3), (h2, h4), (h1, h2), (h1, h4))])
    print('ttl=63' in h1.cmd('ping -c1 -W%d' % PATIENCE_S, h4.IP()), both_ways('tcp', h1, h3))
    net.stop()


def litter(net):
    """Kills everything of ours with -9, so that nobody tidies up; then `mn -c` does."""
    for child in (net.controllers[0]._process._child, net.switches[0]._devices.process._child):
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    found = len(os.listdir('/run/flowcell'))
    # It also empties /tmp of everybody's logs, and a folder at home: it gets a /tmp and a home of its own. /run is ours.
    shutil.copy(sys.modules['flowcell'].__file__, '/run/flowcell.py')
    subprocess.run(['unshare', '--mount', 'sh', '-c',
                    'mount -t tmpfs tmpfs /tmp && exec mn --custom /run/flowcell.py -c'], cwd='/',
                   env={**os.environ, 'HOME': '/run'}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    shown = json.loads(subprocess.run(['ip', '-j', 'link'], stdout=subprocess.PIPE, check=True).stdout)
    print(found, os.listdir('/run/flowcell'), [link['ifname'] for link in shown if '-eth' in link['ifname']], flush=True)
    os._exit(0)


def forever(net):
    print('running', len(net.switches), flush=True)
    net.switches[0].cmd('read')


def main(test):
    setLogLevel('critical')
    if test == 'standalone':
        net = Mininet(topo=SingleSwitchTopo(2), controller=None, switch=FlowcellSwitch, build=False)
        net.switch = lambda name, **params: FlowcellSwitch(name, failMode='standalone', **params)
        net.start()
        print(net.pingAll())
    elif test == 'tenants':
        net = Mininet(topo=None, controller=FlowcellController)
        net.addController('c0')
        for number in (1, 2):
            net.addLink(net.addHost('h%d' % number), net.addSwitch('s%d' % number, cls=FlowcellSwitch, tenant=number,
                                                                   dpid='%x' % (number + 0xa0)))
        net.addLink(*net.switches)
        net.start()
        hosts = [switch.state('/hosts')[0]['pid'] for switch in net.switches]
        with_uid = [open('/proc/%d/status' % pid).read().split('Uid:')[1].split()[0] for pid in hosts]
        print(net.pingAll(), with_uid, [switch.state()['datapath_id'] for switch in net.switches])
    elif test in ('shaped', 'faucet'):
        globals()[test]()
        return
    elif test == 'refused':
        # Each says what is wrong, and leaves nothing behind.
        first = FlowcellController('c0')
        first.start()
        second = FlowcellController('c1')
        switch = FlowcellSwitch('s1', ports='nothere')
        for start in (second.start, lambda: switch.start([first])):
            try:
                start()
            except FlowcellError as problem:
                print(problem)
        for node in (switch, second, first):
            node.stop()
            node.terminate()
        return
    else:
        net = Mininet(topo=LinearTopo(2), switch=FlowcellSwitch, controller=FlowcellController)
        net.start()
        patient(*(host.defaultIntf() for host in net.hosts))
        globals()[test](net)
    net.stop()


if __name__ == '__main__':
    main(sys.argv[1])
