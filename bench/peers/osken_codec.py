"""os-ken's codec on given messages, the peer the codec bench compares with.

Reads JSON on standard input: {"cases": {name: [hex, ...]}, "seconds": s, "rounds": n}. For each case it decodes
all messages again and again for s seconds, n times, then encodes what it has decoded in the same way; it writes
{name: {"decode": [messages per second, ...], "encode": [...]}}. A message is encoded from the object that
decoding gave, so that both sides begin with the values at hand. What os-ken cannot do is left out: it has no
decoder for packet-out (which is encoded from an object made here) and no encoder for packet-in.
"""

import json
import logging
import sys
import time

from os_ken.ofproto import ofproto_parser, ofproto_protocol, ofproto_v1_3, ofproto_v1_3_parser  # noqa: F401

datapath = ofproto_protocol.ProtocolDesc(version=ofproto_v1_3.OFP_VERSION)


logging.disable(logging.CRITICAL)
parser = ofproto_v1_3_parser
ofproto = ofproto_v1_3


def packet_out(buf):
    """The message that buf is, an output of the bytes behind the only action."""
    header = ofproto.OFP_PACKET_OUT_SIZE + ofproto.OFP_ACTION_OUTPUT_SIZE
    in_port = int.from_bytes(buf[12:16], "big")
    port = int.from_bytes(buf[28:32], "big")
    actions = [parser.OFPActionOutput(port, ofproto.OFPCML_NO_BUFFER)]
    msg = parser.OFPPacketOut(datapath, ofproto.OFP_NO_BUFFER, in_port, actions, buf[header:])
    msg.xid = int.from_bytes(buf[4:8], "big")
    return msg


def parse(buf):
    version, msg_type, msg_len, xid = ofproto_parser.header(buf)
    return ofproto_parser.msg(datapath, version, msg_type, msg_len, xid, buf)


def rate(work, items, seconds):
    """Messages per second of work on each item, over and over."""
    count = 0
    start = time.perf_counter()
    while True:
        for item in items:
            work(item)
        count += len(items)
        elapsed = time.perf_counter() - start
        if elapsed >= seconds:
            return count / elapsed


def serialize(msg):
    msg.serialize()


def encodes(msg, buf):
    """Whether os-ken has an encoder for msg, and it gives buf."""
    try:
        serialize(msg)
    except Exception as error:  # a class without one fails in ways of its own
        print(f"{type(msg).__name__} is not encoded: {error!r}", file=sys.stderr)
        return False
    return bytes(msg.buf) == buf


def main():
    job = json.load(sys.stdin)
    result = {}
    for name, messages in job["cases"].items():
        buffers = [bytes.fromhex(text) for text in messages]
        rounds = range(job["rounds"])
        rates = {}
        if buffers[0][1] == ofproto.OFPT_PACKET_OUT:
            parsed = [packet_out(buf) for buf in buffers]
        else:
            rates["decode"] = [rate(parse, buffers, job["seconds"]) for _ in rounds]
            parsed = [parse(buf) for buf in buffers]
        if encodes(parsed[0], buffers[0]):
            rates["encode"] = [rate(serialize, parsed, job["seconds"]) for _ in rounds]
        result[name] = rates
    json.dump(result, sys.stdout)


main()
