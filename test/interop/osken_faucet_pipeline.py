"""A multi-table pipeline of the shape Faucet programs, on os-ken (Debian has no Faucet).

Tables as Faucet's documentation describes them: PORT_ACL, VLAN, ETH_SRC, IPV4_FIB, VIP, ETH_DST, FLOOD. Hosts
are learned in ETH_SRC by packet-ins, VLANs are pushed at access ports and popped on the way out, and the
switch routes between the VLANs: hosts' addresses are resolved by ARP, and routes go into IPV4_FIB.

Every datapath: port 1 access in VLAN 100, port 2 access in VLAN 200, port 3 a trunk with both.
"""

from os_ken.base import app_manager
from os_ken.controller import ofp_event
from os_ken.controller.handler import CONFIG_DISPATCHER, MAIN_DISPATCHER, set_ev_cls
from os_ken.lib.packet import arp, ethernet, ipv4, packet, vlan
from os_ken.ofproto import ofproto_v1_3

PORT_ACL, VLAN, ETH_SRC, IPV4_FIB, VIP, ETH_DST, FLOOD = range(7)
ACCESS = {1: 100, 2: 200}
TRUNK = 3
GATEWAYS = {100: "10.0.1.254", 200: "10.0.2.254"}
NETWORKS = {100: "10.0.1.", 200: "10.0.2."}
ROUTER_MAC = "0e:00:00:00:00:01"
BROADCAST = "ff:ff:ff:ff:ff:ff"
ACL, HIGH, LOW, MISS = 9000, 8000, 4000, 0
PRESENT = ofproto_v1_3.OFPVID_PRESENT


class FaucetPipeline(app_manager.OSKenApp):
    OFP_VERSIONS = [ofproto_v1_3.OFP_VERSION]

    @set_ev_cls(ofp_event.EventOFPSwitchFeatures, CONFIG_DISPATCHER)
    def features(self, event):
        dp = event.msg.datapath
        ofp, p = dp.ofproto, dp.ofproto_parser
        dp.send_msg(
            p.OFPFlowMod(
                datapath=dp,
                table_id=ofp.OFPTT_ALL,
                command=ofp.OFPFC_DELETE,
                out_port=ofp.OFPP_ANY,
                out_group=ofp.OFPG_ANY,
            )
        )
        # An access list: discard (UDP port 9) does not get in.
        self.add(dp, PORT_ACL, ACL, dict(eth_type=0x0800, ip_proto=17, udp_dst=9), [])
        self.add(dp, PORT_ACL, MISS, {}, [p.OFPInstructionGotoTable(VLAN)])
        for port, vid in ACCESS.items():
            push = [p.OFPActionPushVlan(0x8100), p.OFPActionSetField(vlan_vid=vid | PRESENT)]
            self.add(dp, VLAN, LOW, dict(in_port=port, vlan_vid=0), self.apply(dp, push, ETH_SRC))
            self.add(dp, VLAN, LOW, dict(in_port=TRUNK, vlan_vid=vid | PRESENT), self.apply(dp, [], ETH_SRC))
            out = [p.OFPActionOutput(TRUNK), p.OFPActionPopVlan(), p.OFPActionOutput(port)]
            self.add(dp, FLOOD, LOW, dict(vlan_vid=vid | PRESENT), self.apply(dp, out))
            self.add(
                dp,
                ETH_SRC,
                HIGH,
                dict(vlan_vid=vid | PRESENT, eth_type=0x0806, arp_tpa=GATEWAYS[vid]),
                self.apply(dp, [], VIP),
            )
        to_controller = [p.OFPActionOutput(ofp.OFPP_CONTROLLER, ofp.OFPCML_NO_BUFFER)]
        router = dict(eth_dst=ROUTER_MAC)
        self.add(dp, ETH_SRC, HIGH, dict(router, eth_type=0x0800), self.apply(dp, [], IPV4_FIB))
        self.add(dp, ETH_SRC, LOW, dict(eth_src=ROUTER_MAC), self.apply(dp, [], ETH_DST))
        self.add(dp, ETH_SRC, MISS, {}, self.apply(dp, to_controller, ETH_DST))
        self.add(dp, IPV4_FIB, MISS, {}, self.apply(dp, to_controller))
        self.add(dp, VIP, MISS, {}, self.apply(dp, to_controller))
        self.add(dp, ETH_DST, MISS, {}, self.apply(dp, [], FLOOD))
        dp.send_msg(p.OFPBarrierRequest(dp))

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def packet_in(self, event):
        msg = event.msg
        dp, in_port = msg.datapath, msg.match["in_port"]
        frame = packet.Packet(msg.data)
        eth, tag = frame.get_protocol(ethernet.ethernet), frame.get_protocol(vlan.vlan)
        if tag is None:
            self.logger.error("untagged packet-in from table %d", msg.table_id)
            return
        if msg.table_id == IPV4_FIB:
            self.resolve(dp, frame.get_protocol(ipv4.ipv4).dst)
        # Whoever is learned is not heard of again: by ARP, since its route is made of that too. (Hosts' first frames may be IPv6's.)
        request = frame.get_protocol(arp.arp)
        if request is None:
            return
        if msg.table_id in (ETH_SRC, VIP) and eth.src != ROUTER_MAC:
            self.learn(dp, eth.src, tag.vid, in_port)
        self.route(dp, tag.vid, request.src_ip, request.src_mac)
        if request.opcode == arp.ARP_REQUEST and request.dst_ip == GATEWAYS[tag.vid]:
            self.send_arp(dp, tag.vid, arp.ARP_REPLY, request.src_mac, request.src_ip)

    def learn(self, dp, mac, vid, port):
        p = dp.ofproto_parser
        self.add(
            dp, ETH_SRC, LOW, dict(in_port=port, vlan_vid=vid | PRESENT, eth_src=mac), self.apply(dp, [], ETH_DST)
        )
        pop = [p.OFPActionPopVlan()] if port in ACCESS else []
        self.add(
            dp,
            ETH_DST,
            LOW,
            dict(vlan_vid=vid | PRESENT, eth_dst=mac),
            self.apply(dp, pop + [p.OFPActionOutput(port)]),
        )

    def route(self, dp, vid, ip, mac):
        """From any VLAN to this host: new Ethernet header, new VLAN, one less TTL."""
        p = dp.ofproto_parser
        actions = [
            p.OFPActionSetField(eth_src=ROUTER_MAC),
            p.OFPActionSetField(eth_dst=mac),
            p.OFPActionSetField(vlan_vid=vid | PRESENT),
            p.OFPActionDecNwTtl(),
        ]
        match = dict(eth_type=0x0800, ipv4_dst=ip)
        self.add(dp, IPV4_FIB, LOW, match, self.apply(dp, actions, ETH_DST))

    def resolve(self, dp, ip):
        for vid, network in NETWORKS.items():
            if ip.startswith(network):
                self.send_arp(dp, vid, arp.ARP_REQUEST, BROADCAST, ip)

    def send_arp(self, dp, vid, opcode, mac, ip):
        """Out through the tables' last one: the packet is in the VLAN already."""
        ofp, p = dp.ofproto, dp.ofproto_parser
        frame = packet.Packet()
        frame.add_protocol(ethernet.ethernet(dst=mac, src=ROUTER_MAC, ethertype=0x0806))
        target = "00:00:00:00:00:00" if mac == BROADCAST else mac
        frame.add_protocol(
            arp.arp(opcode=opcode, src_mac=ROUTER_MAC, src_ip=GATEWAYS[vid], dst_mac=target, dst_ip=ip)
        )
        frame.serialize()
        access = [port for port, of in ACCESS.items() if of == vid]
        actions = [p.OFPActionOutput(port) for port in access]
        actions += [
            p.OFPActionPushVlan(0x8100),
            p.OFPActionSetField(vlan_vid=vid | PRESENT),
            p.OFPActionOutput(TRUNK),
        ]
        dp.send_msg(
            p.OFPPacketOut(
                datapath=dp,
                buffer_id=ofp.OFP_NO_BUFFER,
                in_port=ofp.OFPP_CONTROLLER,
                actions=actions,
                data=frame.data,
            )
        )

    @staticmethod
    def apply(dp, actions, goto=None):
        p = dp.ofproto_parser
        instructions = []
        if actions:
            instructions.append(p.OFPInstructionActions(dp.ofproto.OFPIT_APPLY_ACTIONS, actions))
        if goto is not None:
            instructions.append(p.OFPInstructionGotoTable(goto))
        return instructions

    @staticmethod
    def add(dp, table, priority, fields, instructions):
        p = dp.ofproto_parser
        dp.send_msg(
            p.OFPFlowMod(
                datapath=dp,
                table_id=table,
                priority=priority,
                match=p.OFPMatch(**fields),
                instructions=instructions,
            )
        )

    @set_ev_cls(ofp_event.EventOFPErrorMsg, [CONFIG_DISPATCHER, MAIN_DISPATCHER])
    def error(self, event):
        """A test looks for this word in the output."""
        self.logger.error("OFPERR type %d code %d", event.msg.type, event.msg.code)
