"""One end of some traffic, run inside a host: `traffic.py MODE ...`. Servers print a line when they are ready."""

import hashlib
import socket
import struct
import sys

PORT = 5001
SECONDS = 60
BYTES = 2_000_000
ETH_P_ALL = 3
SOL_PACKET, PACKET_AUXDATA = 263, 8
MARK = b'flowcell tagged frame'


def say(*words):
    print(*words, flush=True)


def payload():
    block = bytes(range(256)) * 16
    return (block * (BYTES // len(block) + 1))[:BYTES]


def tcp_server(address):
    with socket.create_server((address, PORT)) as server:
        server.settimeout(SECONDS)
        say('ready')
        stream, _ = server.accept()
        with stream:
            stream.settimeout(SECONDS)
            digest = hashlib.sha256()
            while data := stream.recv(65536):
                digest.update(data)
            # The way back has as many bytes.
            stream.sendall(payload())
    say('ok' if digest.digest() == hashlib.sha256(payload()).digest() else 'different bytes')


def tcp_client(address):
    with socket.create_connection((address, PORT), SECONDS) as stream:
        stream.settimeout(SECONDS)
        stream.sendall(payload())
        stream.shutdown(socket.SHUT_WR)
        digest = hashlib.sha256()
        while data := stream.recv(65536):
            digest.update(data)
    say('ok' if digest.digest() == hashlib.sha256(payload()).digest() else 'different bytes')


def udp_server(address):
    """Answers until it is ended: an answer may be lost, and is then asked for again."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, PORT))
        server.settimeout(SECONDS)
        say('ready')
        data, peer = server.recvfrom(2000)
        # Who has the answer may end us.
        say('ok')
        while True:
            server.sendto(data[::-1], peer)
            data, peer = server.recvfrom(2000)


def udp_client(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        for number in range(SECONDS):
            client.sendto(b'datagram %d' % number, (address, PORT))
            try:
                data, _ = client.recvfrom(2000)
            except TimeoutError:
                continue
            say('ok' if data[::-1].startswith(b'datagram') else 'different bytes')
            return


def vlan_server(interface, vlan):
    """Waits for a frame with our mark; the kernel hands its tag over beside it."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as server:
        server.bind((interface, 0))
        server.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        server.settimeout(SECONDS)
        say('ready')
        while True:
            frame, ancillary, _, _ = server.recvmsg(2000, 256)
            if MARK not in frame:
                continue
            tags = [struct.unpack('IIIHHHH', data[:20])[5] & 0xfff
                    for level, kind, data in ancillary if (level, kind) == (SOL_PACKET, PACKET_AUXDATA)]
            tag = tags[0] if tags else 0
            if frame[12:14] == b'\x81\x00':
                tag = struct.unpack('!H', frame[14:16])[0] & 0xfff
            say('ok' if tag == int(vlan) else 'tag %d' % tag)
            return


def vlan_client(interface, destination, vlan):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as client:
        client.bind((interface, 0))
        source = client.getsockname()[4]
        head = bytes.fromhex(destination.replace(':', '')) + source
        # An experimental ethertype (IEEE 802), so that no host answers.
        client.send(head + struct.pack('!HHH', 0x8100, int(vlan), 0x88b5) + MARK.ljust(60, b'\0'))
    say('ok')


if __name__ == '__main__':
    globals()[sys.argv[1].replace('-', '_')](*sys.argv[2:])
