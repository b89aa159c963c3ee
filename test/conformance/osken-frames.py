"""Reads a JSON list of lists of packet expressions; writes the frames os-ken makes of them, in hexadecimal."""
import importlib
import json
import sys

from os_ken.lib.packet import sctp

NAMES = {
    "arp": ["arp"],
    "ethernet": ["ethernet"],
    "icmp": ["icmp", "echo", "dest_unreach"],
    "icmpv6": ["icmpv6", "nd_neighbor", "nd_option_sla", "nd_option_tla"],
    "ipv4": ["ipv4"],
    "ipv6": ["ipv6", "hop_opts", "dst_opts", "auth"],
    "mpls": ["mpls"],
    "pbb": ["itag"],
    "sctp": ["sctp", "chunk_data"],
    "tcp": ["tcp"],
    "udp": ["udp"],
    "vlan": ["vlan", "svlan"],
}
scope = {}
for module, names in NAMES.items():
    loaded = importlib.import_module("os_ken.lib.packet." + module)
    for name in names:
        scope[name] = getattr(loaded, name)
scope["icmpv6echo"] = importlib.import_module("os_ken.lib.packet.icmpv6").echo

# os-ken walks the characters of str(data), which under Python 3 is the text "bytearray(b'...')".
checksum_of_text = sctp.sctp._checksum
sctp.sctp._checksum = lambda self, data: checksum_of_text(self, bytes(data).decode("latin-1"))

frames = []
for expressions in json.load(sys.stdin):
    packet = eval("/".join(expressions), scope)
    packet.serialize()
    frames.append(bytes(packet.data).hex())
json.dump(frames, sys.stdout)
