/**
 * tshark as an oracle: what we encode for each message, statistic, property, action and match field of the
 * versions that it dissects is dissected without a malformed or error mark.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Fields, ItemNode, Node, OxmFields, Variants } from '../../openflow/schema/types.ts';
import { hasCommand } from '../support/environment.ts';
import { VERSIONS } from '../support/openflow-versions.ts';
import { messageArbitrary } from '../unit/openflow-arbitrary.ts';

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

/** For each message: the OpenFlow protocol tshark saw in it, and what it found wrong. */
function dissect(messages: readonly Uint8Array[]): { protocol: string; complaint: string }[] {
  const folder = mkdtempSync(join(tmpdir(), 'flowcell-tshark-'));
  try {
    const file = join(folder, 'messages.pcap');
    writeFileSync(file, pcap(messages));
    const fields = ['frame.protocols', '_ws.malformed', '_ws.expert.severity', '_ws.expert.message'];
    const text = execFileSync(
      'tshark',
      ['-r', file, '-n', '-T', 'fields', '-E', 'separator=|', ...fields.flatMap((field) => ['-e', field])],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 1 << 26 },
    );
    return text
      .trimEnd()
      .split('\n')
      .map((line) => {
        const [protocols, malformed, severity, ...note] = line.split('|');
        // 8388608: "error"; notes and chats are about TCP.
        const wrong = malformed !== '' || severity.split(',').includes('8388608');
        return { protocol: protocols, complaint: wrong ? `${malformed} ${note.join('|')}` : '' };
      });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * The same tables without what tshark cannot judge: random bytes as packets, and experimenters' structures
 * (with Nicira's), whose data it takes for messages of 4 bytes at least.
 */
function judged(fields: Fields): Fields {
  const kept = Object.entries(fields).map(([name, node]) => [name, judgedNode(node)]);
  return Object.fromEntries(kept.filter(([, node]) => node !== undefined)) as Fields;
}

const judgedVariants = (variants: Variants): Variants =>
  Object.fromEntries(
    Object.entries(variants)
      .filter(([name]) => !/^(experimenter|vendor|nx_)/.test(name))
      .map(([name, one]) => [name, { ...one, fields: judged(one.fields) }]),
  );

function judgedNode(node: Node): Node | undefined {
  switch (node.kind) {
    case 'rest':
      // Nothing at all is the one packet that cannot be wrong.
      return { kind: 'empty' } as never;
    case 'match':
    case 'oxm': {
      const basic = Object.entries(node.oxm as OxmFields).filter(([, { oxmClass }]) =>
        /^8/.test(oxmClass.toString(16)),
      );
      return { ...node, oxm: Object.fromEntries(basic) };
    }
    case 'list':
      return { ...node, item: judgedItem(node.item) };
    case 'struct':
      return { ...node, fields: judged(node.fields) };
    case 'choice':
      return { ...node, variants: judgedVariants(node.variants) };
    default:
      return node;
  }
}

function judgedItem(item: ItemNode): ItemNode {
  if (item.kind === 'uint') return item;
  if (item.kind === 'struct') return { ...item, fields: judged(item.fields) };
  const variants = judgedVariants(item.variants);
  // A kind of property of which there are only experimenters'.
  return { ...item, variants: Object.keys(variants).length > 0 ? variants : item.variants };
}

/**
 * Messages that tshark 4.0 marks wrongly. Of 1.0: a packet of no bytes, and an empty list of actions at the end
 * of the message. Of 1.4 and 1.5: the same messages as other implementations recorded them are marked, too.
 */
const MISJUDGED: Record<number, ReadonlySet<string>> = {
  1: new Set(['packet_in', 'packet_out', 'flow_mod']),
  4: new Set(),
  5: new Set(['port_status', 'multipart_reply', 'bundle_control', 'bundle_add_message']),
  6: new Set([
    'packet_in',
    'flow_removed',
    'port_status',
    'packet_out',
    'flow_mod',
    'group_mod',
    'multipart_request',
    'multipart_reply',
    'bundle_control',
    'bundle_add_message',
    'controller_status',
  ]),
};

const DISSECTED = VERSIONS.filter(({ name }) => ['1.0', '1.3', '1.4', '1.5'].includes(name));

describe.skipIf(!hasCommand('tshark'))('tshark dissects what we encode', () => {
  test.each(DISSECTED)('OpenFlow $name', ({ wire, codec, messages }) => {
    const kinds: string[] = [];
    const encoded: Uint8Array[] = [];
    for (const [type, def] of Object.entries(messages)) {
      if (/^(nx_|dispatch_|cell_|program|experimenter|vendor|error)/.test(type)) continue;
      for (const value of fc.sample(messageArbitrary(type, { ...def, fields: judged(def.fields) }), {
        seed: 1,
        numRuns: 20,
      })) {
        if (type === 'hello') value.version = wire;
        encoded.push(codec.encode(value));
        kinds.push(type);
      }
    }
    const seen = dissect(encoded);
    expect(seen).toHaveLength(encoded.length);
    const complaints = seen.flatMap(({ protocol, complaint }, at) => {
      const hex = Buffer.from(encoded[at]).toString('hex').slice(0, 400);
      if (!protocol.includes(`openflow_v${wire}`)) return [`${kinds[at]}: seen as ${protocol} ${hex}`];
      return complaint === '' || MISJUDGED[wire].has(kinds[at]) ? [] : [`${kinds[at]}: ${complaint} ${hex}`];
    });
    expect(complaints).toEqual([]);
  });
});
