"""A network of one combination of switches and controller, and what is tried on it.

    scenario.py SWITCHES CONTROLLER CHECK [CHECK ...]

SWITCHES: flowcell, ovs or mixed. CONTROLLER: flowcell, os-ken or ovs. Prints a line of JSON for each check: its name and
what it came to; then one for what is left of processes.
"""

import json
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, 'mininet'))

from flowcell import FlowcellController, FlowcellSwitch  # noqa: E402
from mininet.log import setLogLevel  # noqa: E402
from mininet.net import Mininet  # noqa: E402
from mininet.node import Controller, OVSSwitch  # noqa: E402
from mininet.topo import Topo  # noqa: E402

TRAFFIC = os.path.join(HERE, 'traffic.py')
# For what has no event to wait for (a peer's connection, a link that is back), and for an answer that has to come.
PATIENCE_S = 60


class ForeignController(Controller):
    """A controller that is not ours; start() returns when it listens."""

    argv = ()

    def checkListening(self):
        pass

    def start(self):
        self.child = subprocess.Popen([word.format(port=self.port, root=ROOT) for word in self.argv],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        until(lambda: subprocess.run(['ss', '-Hltn', 'sport = :%d' % self.port], stdout=subprocess.PIPE).stdout)

    def stop(self, *args, **kwargs):
        if self.child is not None:
            self.child.terminate()
            self.child.wait()
            self.child = None

    def terminate(self):
        self.stop()
        Controller.terminate(self)


class TestController(ForeignController):
    argv = ('ovs-testcontroller', 'ptcp:{port}:127.0.0.1', '--unixctl=none')


class OsKen(ForeignController):
    argv = ('osken-manager', '--ofp-listen-host', '127.0.0.1', '--ofp-tcp-listen-port', '{port}',
            '{root}/bench/peers/osken_learning_switch.py')


class OsKenFaucetPipeline(ForeignController):
    argv = ('osken-manager', '--ofp-listen-host', '127.0.0.1', '--ofp-tcp-listen-port', '{port}',
            '{root}/test/interop/osken_faucet_pipeline.py')


class UserSpaceOVS(OVSSwitch):
    def __init__(self, name, **params):
        OVSSwitch.__init__(self, name, **{**params, 'datapath': 'user', 'protocols': 'OpenFlow13'})


CONTROLLERS = {'flowcell': FlowcellController, 'os-ken': OsKen, 'ovs': TestController}
SWITCHES = {'flowcell': [FlowcellSwitch], 'ovs': [UserSpaceOVS], 'mixed': [FlowcellSwitch, UserSpaceOVS]}


class Tree(Topo):
    """`switches` switches with a host each; s1 is the root, each has `fanout` below it (1: a line)."""

    def build(self, classes, switches=3, fanout=1):
        for i in range(1, switches + 1):
            self.addSwitch('s%d' % i, cls=classes[i % len(classes)])
            self.addHost('h%d' % i)
            self.addLink('h%d' % i, 's%d' % i)
            if i > 1:
                self.addLink('s%d' % i, 's%d' % ((i - 2) // fanout + 1))


def until(condition):
    """Asks again until it is so, and no longer than PATIENCE_S."""
    end = time.monotonic() + PATIENCE_S
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError('this did not come about in %d s' % PATIENCE_S)
        time.sleep(0.02)
    return value


def connected(net):
    """Open vSwitch has no event for it, and its database says so only every 5 s: the controller knows better."""
    controller = net.controllers[0]
    if isinstance(controller, FlowcellController):
        until(lambda: len(controller.state('/datapaths')['datapaths']) == len(net.switches))
    else:
        until(lambda: all(switch.connected() for switch in net.switches))


def patient(*interfaces):
    """Hosts ask for an address for as long as they wait for an answer, not three times in three seconds."""
    for interface in interfaces:
        interface.cmd('sysctl -qw net.ipv4.neigh.{0}.mcast_solicit={1} net.ipv6.neigh.{0}.mcast_solicit={1}'.format(
            interface, PATIENCE_S))


def reaches(source, destination, *options, seconds=PATIENCE_S):
    """An answer comes. What a switch has to hold for longer than it does is lost, and asked again a second later."""
    said = source.cmd('ping', '-c1', '-w%d' % seconds, *options, destination)
    return re.search(r' [1-9]\d* received', said) is not None


def pair(server, server_args, client, client_args):
    """Runs one end in each host; both must say ok."""
    listening = server.popen([sys.executable, TRAFFIC, *server_args], stdout=subprocess.PIPE, text=True)
    listening.stdout.readline()
    talking = client.popen([sys.executable, TRAFFIC, *client_args], stdout=subprocess.PIPE, text=True)
    said = [talking.communicate()[0].strip()]
    if 'udp-server' in server_args:
        listening.terminate()
    said.append(listening.communicate()[0].strip())
    return 'ok' if said == ['ok', 'ok'] else ' / '.join(said)


def both_ways(mode, first, last):
    results = [pair(b, ['%s-server' % mode, b.IP()], a, ['%s-client' % mode, b.IP()])
               for a, b in ((first, last), (last, first))]
    return 'ok' if results == ['ok', 'ok'] else ', '.join(results)


class Checks:
    def __init__(self, net):
        self.net = net
        self.first, self.last = net.hosts[0], net.hosts[-1]

    def pingall(self):
        """Names of those that do not reach each other."""
        hosts = self.net.hosts
        return [[a.name, b.name] for a in hosts for b in hosts if a is not b and not reaches(a, b.IP())]

    def ring(self):
        """Every host to the next: as many pings as there are hosts."""
        hosts = self.net.hosts
        return [a.name for a, b in zip(hosts, hosts[1:] + hosts[:1]) if not reaches(a, b.IP())]

    def tcp(self):
        return both_ways('tcp', self.first, self.last)

    def tcp_without_offload(self):
        """Open vSwitch's user-space datapath passes on checksums that nobody has finished."""
        for host in (self.first, self.last):
            host.cmd('ethtool -K %s tx off' % host.defaultIntf())
        return self.tcp()

    def udp(self):
        return both_ways('udp', self.first, self.last)

    def ipv6(self):
        for number, host in enumerate(self.net.hosts, 1):
            host.cmd('ip -6 addr add fd00::%x/64 dev %s nodad' % (number, host.defaultIntf()))
        return reaches(self.first, 'fd00::%x' % len(self.net.hosts), '-6')

    def vlan(self):
        return pair(self.last, ['vlan-server', str(self.last.defaultIntf()), '5'],
                    self.first, ['vlan-client', str(self.first.defaultIntf()), self.last.MAC(), '5'])

    def link(self):
        """[reaches with the link down, reaches when it is up again]"""
        self.net.configLinkStatus('s1', 's2', 'down')
        down = ' 0% packet loss' in self.first.cmd('ping -c1 -W1', self.last.IP())
        self.net.configLinkStatus('s1', 's2', 'up')
        return [down, bool(until(lambda: reaches(self.first, self.last.IP(), seconds=2)))]

    def restart(self):
        """[packets of a running ping that were lost, a new flow works afterwards]"""
        controller = self.net.controllers[0]
        # They know each other for good: whether an address is confirmed while nobody decides about it is not the question.
        for host, other in ((self.first, self.last), (self.last, self.first)):
            host.setARP(other.IP(), other.MAC())
        ping = self.first.popen(['ping', '-i', '0.1', self.last.IP()], stdout=subprocess.PIPE, text=True)
        answered = []

        def five_more():
            for line in ping.stdout:
                if 'bytes from' in line:
                    answered.append(int(line.split('icmp_seq=')[1].split()[0]))
                    if len(answered) % 5 == 0:
                        return

        five_more()
        controller.stop()
        five_more()
        controller.start()
        connected(self.net)
        works = pair(self.last, ['udp-server', self.last.IP()], self.first, ['udp-client', self.last.IP()])
        five_more()
        ping.terminate()
        # Not by ping's own summary: a request that is on its way when ping is ended would count as lost.
        return [answered[-1] - len(answered), works]


def main(switches, controller, size, fanout, *checks):
    setLogLevel('critical')
    topo = Tree(classes=SWITCHES[switches], switches=int(size), fanout=int(fanout))
    net = Mininet(topo=topo, controller=CONTROLLERS[controller], waitConnected=False)
    net.start()
    try:
        patient(*(host.defaultIntf() for host in net.hosts))
        connected(net)
        tries = Checks(net)
        for check in checks:
            began = time.monotonic()
            try:
                result = getattr(tries, check)()
            except Exception as problem:  # The others are worth knowing, too.
                result = repr(problem)
            print(json.dumps({'check': check, 'result': result, 'seconds': round(time.monotonic() - began, 1)}),
                  flush=True)
    finally:
        net.stop()


if __name__ == '__main__':
    main(*sys.argv[1:])
