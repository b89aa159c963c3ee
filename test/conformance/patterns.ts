/** os-ken's switch test patterns as cases that can be run. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Match } from '../../openflow/index.ts';
import { FrameTemplate } from './frame.ts';
import { type Json, type JsonObject, PatternError } from './json.ts';
import { match } from './messages.ts';
import type { Mod, Protocol } from './protocol.ts';

export const GROUPS = ['action', 'match', 'group', 'meter'] as const;
export type Group = (typeof GROUPS)[number];

/** Packets at a rate, and the rates at which they must come out. */
export interface Throughput {
  readonly kind: 'throughput';
  readonly packets: FrameTemplate;
  readonly packetsPerSecond: number;
  readonly seconds: number;
  readonly expected: readonly Rate[];
}

/** Of the frames that match (in_port is the port of the tester): kbit (of 1024 bits) or packets per second. */
export interface Rate {
  readonly match: Match;
  readonly unit: 'kbps' | 'pktps';
  readonly value: number;
}

export type Check =
  | { readonly kind: 'egress' | 'packet-in'; readonly send: FrameTemplate; readonly expect: FrameTemplate }
  /** No entry of these tables may count a match. */
  | { readonly kind: 'table-miss'; readonly send: FrameTemplate; readonly tables: readonly number[] }
  | Throughput;

export interface Case {
  readonly group: Group;
  /** 'action/17_PUSH_VLAN: description' */
  readonly name: string;
  readonly prerequisite: readonly Mod[];
  readonly checks: readonly Check[];
}

const strings = (value: Json): string[] => value as string[];

function throughput(ingress: JsonObject, egress: JsonObject): Throughput {
  const packets = ingress.packets as JsonObject;
  return {
    kind: 'throughput',
    packets: new FrameTemplate(strings(packets.data)),
    packetsPerSecond: (packets.pktps as number) ?? 1000,
    seconds: (packets.duration_time as number) ?? 30,
    expected: (egress.throughput as JsonObject[]).map((one) => ({
      match: match(one.OFPMatch),
      unit: one.kbps === undefined ? 'pktps' : 'kbps',
      value: (one.kbps ?? one.pktps) as number,
    })),
  };
}

function check(test: JsonObject): Check {
  if (!Array.isArray(test.ingress)) return throughput(test.ingress as JsonObject, test.egress as JsonObject);
  const send = new FrameTemplate(strings(test.ingress));
  if (test.egress !== undefined) {
    return { kind: 'egress', send, expect: new FrameTemplate(strings(test.egress)) };
  }
  if (test.PACKET_IN !== undefined) {
    return { kind: 'packet-in', send, expect: new FrameTemplate(strings(test.PACKET_IN)) };
  }
  if (test['table-miss'] !== undefined) {
    return { kind: 'table-miss', send, tables: test['table-miss'] as number[] };
  }
  throw new PatternError(`a test expects ${Object.keys(test).join(', ')}, of which nothing is known`);
}

/** A file is a list: its title, then one object per case. */
export function parseFile(protocol: Protocol, group: Group, name: string, content: Json): Case[] {
  const cases = (content as Json[]).filter((one) => typeof one !== 'string') as JsonObject[];
  return cases.map((one) => ({
    group,
    name: `${name}: ${one.description}`,
    prerequisite: (one.prerequisite as Json[]).map((json) => protocol.mod(json)),
    checks: (one.tests as JsonObject[]).map(check),
  }));
}

/** Every case of a version below `patterns` (switch_tests), in the order of groups and names. Throws PatternError. */
export function loadCases(patterns: string, protocol: Protocol): Case[] {
  const folder = join(patterns, protocol.folder);
  // OpenFlow 1.0 has no groups and no meters.
  return GROUPS.filter((group) => existsSync(join(folder, group))).flatMap((group) => {
    const files = readdirSync(join(folder, group), { recursive: true, encoding: 'utf8' });
    return files
      .filter((file) => file.endsWith('.json'))
      .sort()
      .flatMap((file) => {
        const path = join(folder, group, file);
        const name = relative(folder, path).replace(/\.json$/, '');
        return parseFile(protocol, group, name, JSON.parse(readFileSync(path, 'utf8')) as Json);
      });
  });
}
