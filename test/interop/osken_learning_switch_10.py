"""A learning switch on os-ken that speaks OpenFlow 1.0: the one every course starts with.

Debian's python3-os-ken ships no example apps. Without a table-miss entry: in OpenFlow 1.0 what matches nothing
comes to the controller.
"""

from os_ken.base import app_manager
from os_ken.controller import ofp_event
from os_ken.controller.handler import MAIN_DISPATCHER, set_ev_cls
from os_ken.lib.packet import ethernet, packet
from os_ken.ofproto import ofproto_v1_0


class LearningSwitch10(app_manager.OSKenApp):
    OFP_VERSIONS = [ofproto_v1_0.OFP_VERSION]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.ports = {}

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def packet_in(self, event):
        msg = event.msg
        datapath = msg.datapath
        ofp, parser = datapath.ofproto, datapath.ofproto_parser
        eth = packet.Packet(msg.data).get_protocol(ethernet.ethernet)
        table = self.ports.setdefault(datapath.id, {})
        table[eth.src] = msg.in_port
        out_port = table.get(eth.dst, ofp.OFPP_FLOOD)
        actions = [parser.OFPActionOutput(out_port)]
        if out_port != ofp.OFPP_FLOOD:
            datapath.send_msg(
                parser.OFPFlowMod(
                    datapath=datapath,
                    match=parser.OFPMatch(in_port=msg.in_port, dl_dst=eth.dst, dl_src=eth.src),
                    cookie=0,
                    command=ofp.OFPFC_ADD,
                    idle_timeout=0,
                    hard_timeout=0,
                    priority=ofp.OFP_DEFAULT_PRIORITY,
                    flags=ofp.OFPFF_SEND_FLOW_REM,
                    actions=actions,
                )
            )
        datapath.send_msg(
            parser.OFPPacketOut(
                datapath=datapath,
                buffer_id=msg.buffer_id,
                in_port=msg.in_port,
                actions=actions,
                data=msg.data if msg.buffer_id == ofp.OFP_NO_BUFFER else None,
            )
        )
