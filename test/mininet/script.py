"""A user's script: `script.py TEST`, with mininet/ on the path. Prints what the test looks for."""

import sys

from flowcell import FlowcellController, FlowcellError, FlowcellSwitch
from mininet.log import setLogLevel
from mininet.net import Mininet
from mininet.topo import LinearTopo, SingleSwitchTopo


def reaches(source, destination):
    return ' 0% packet loss' in source.cmd('ping -c1 -W2', destination.IP())


def migration(net):
    """h1 moves from s1 to s2 and is reached there; s1 has one port less."""
    h1, h2, s1, s2 = net.get('h1', 'h2', 's1', 's2')
    print(reaches(h1, h2))
    old = h1.connectionsTo(s1)[0][1]
    net.delLinkBetween(h1, s1)
    s1.detach(old)
    link = net.addLink(h1, s2)
    h1.setIP('10.0.0.1/8', intf=link.intf1)
    s2.attach(link.intf2)
    print(reaches(h1, h2), reaches(h2, h1), [len(s.state('/ports')) for s in (s1, s2)])


def late(net):
    """A switch and a host that come while the network runs."""
    s9, h9 = net.addSwitch('s9'), net.addHost('h9')
    net.addLink(h9, s9)
    s1 = net.get('s1')
    uplink = net.addLink(s1, s9)
    net.configHosts()
    s1.attach(uplink.intf1)
    s9.start(net.controllers)
    print(s9.connected(), reaches(h9, net.get('h1')))


def again(net):
    """A switch that is stopped and started at the prompt."""
    h1, h2, s1 = net.get('h1', 'h2', 's1')
    s1.stop(deleteIntfs=False)
    print(reaches(h1, h2), s1.connected())
    s1.start(net.controllers)
    print(reaches(h1, h2), s1.connected())


def forever(net):
    print('running', len(net.switches))
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
        globals()[test](net)
    net.stop()


if __name__ == '__main__':
    main(sys.argv[1])
