/** Other implementations' opinion of messages: tshark's dissector, and what Open vSwitch reads in them. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MAX_OUTPUT = 1 << 28;

/** A pcap of TCP segments to port 6653, one message each. */
function pcap(messages: readonly Uint8Array[]): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(0x40000, 16);
  header.writeUInt32LE(101, 20); // raw IP
  const parts: Buffer[] = [header];
  for (const [index, message] of messages.entries()) {
    const packet = Buffer.alloc(40);
    packet[0] = 0x45;
    packet.writeUInt16BE(40 + message.length, 2);
    packet[8] = 64;
    packet[9] = 6;
    // Connections of their own: no reassembly between messages.
    packet.writeUInt32BE(0x0a000000 + index, 12);
    packet.writeUInt32BE(0x0affffff, 16);
    packet.writeUInt16BE(40000, 20);
    packet.writeUInt16BE(6653, 22);
    packet.writeUInt32BE(1, 24);
    packet[32] = 0x50;
    packet[33] = 0x18;
    packet.writeUInt16BE(0xffff, 34);
    const record = Buffer.alloc(16);
    record.writeUInt32LE(index, 0);
    record.writeUInt32LE(packet.length + message.length, 8);
    record.writeUInt32LE(packet.length + message.length, 12);
    parts.push(record, packet, Buffer.from(message));
  }
  return Buffer.concat(parts);
}

function inFile<T>(name: string, contents: Uint8Array, use: (file: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'flowcell-oracle-'));
  try {
    const file = join(folder, name);
    writeFileSync(file, contents);
    return use(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** For each message what tshark finds wrong with it as one of the version: nothing where it is ''. */
export function askTshark(wire: number, messages: readonly Uint8Array[]): string[] {
  const fields = ['frame.protocols', '_ws.malformed', '_ws.expert.severity', '_ws.expert.message'];
  const text = inFile('messages.pcap', pcap(messages), (file) =>
    execFileSync(
      'tshark',
      ['-r', file, '-n', '-T', 'fields', '-E', 'separator=|', ...fields.flatMap((field) => ['-e', field])],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: MAX_OUTPUT },
    ),
  );
  const lines = text.trimEnd().split('\n');
  if (lines.length !== messages.length)
    throw new Error(`${lines.length} lines of tshark for ${messages.length}`);
  return lines.map((line) => {
    const [protocols, malformed, severity, ...note] = line.split('|');
    if (!protocols.includes(`openflow_v${wire}`)) return `seen as ${protocols}`;
    // 8388608: "error"; notes and chats are about TCP.
    const wrong = malformed !== '' || severity.split(',').includes('8388608');
    return wrong ? `${malformed} ${note.join('|')}`.trim() : '';
  });
}

/** For each message the error that Open vSwitch would answer it with, or how it reads it: `errors` is '' then. */
export function askOvs(messages: readonly Uint8Array[]): { error: string; reading: string }[] {
  // An echo request behind each, whose xid tells where it ends in the output.
  const mark = (index: number) => {
    const echo = Buffer.from([messages[index][0], 2, 0, 8, 0, 0, 0, 0]);
    echo.writeUInt32BE(0xf0000000 + index, 4);
    return echo;
  };
  const stream = Buffer.concat(messages.flatMap((message, index) => [Buffer.from(message), mark(index)]));
  const text = inFile('messages.bin', stream, (file) =>
    execFileSync('ovs-ofctl', ['ofp-parse', file], {
      encoding: 'latin1',
      stdio: ['ignore', 'pipe', 'pipe'],
      maxBuffer: MAX_OUTPUT,
    }),
  );
  const readings = text.split(/OFPT_ECHO_REQUEST .*\(xid=0xf[0-9a-f]{7}\): 0 bytes of payload\n/);
  if (readings.length !== messages.length + 1) {
    throw new Error(`${readings.length - 1} readings of ovs-ofctl for ${messages.length}`);
  }
  return messages.map((_, index) => {
    const reading = readings[index];
    return { error: /decode error: ([A-Z_0-9]+)/.exec(reading)?.[1] ?? '', reading };
  });
}
