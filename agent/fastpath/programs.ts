/**
 * The two kernel programs of the flow cache. A port's packet socket sees a frame before tc does: its filter looks the
 * flow up, keeps a frame that is known from the socket, and leaves the number of the entry for the tc program, which
 * carries the entry out. So the two never disagree, however the map changes in between; and a frame costs one look-up.
 */
import { Assembler, type Register } from './assembler.ts';
import {
  COPY_TPID,
  COUNTER,
  DECISION,
  EDIT,
  ENTRY,
  IPV4_L4_OFFSET,
  IPV6_L4_OFFSET,
  KEY,
  KEY_SPACE,
  L3_OFFSET,
  MAC_OFFSET,
  MAX_COPIES,
} from './layout.ts';

/** Descriptors of the maps. */
export interface CacheMaps {
  /** Flow key to the number of its entry. */
  readonly flows: number;
  readonly entries: number;
  readonly counters: number;
  readonly decision: number;
}

/** struct __sk_buff */
const SKB = {
  LEN: 0,
  VLAN_PRESENT: 20,
  VLAN_TCI: 24,
  VLAN_PROTO: 28,
  IFINDEX: 40,
  GSO_SIZE: 176,
} as const;

const networkOrder = (type: number): number => ((type & 0xff) << 8) | (type >> 8);

const ETH_HEADER = 14;
/** Network order, as a little-endian machine reads them. */
const TYPE_IPV4 = 0x0008;
const TYPE_IPV6 = 0xdd86;
const MORE_OR_OFFSET = 0xff3f;
const TCP = 6;
const UDP = 17;
const IPV4_HEADER = 20;
/** The least that TCP and UDP have. */
const TCP_HEADER = 20;
const UDP_HEADER = 8;
const TAG_BYTES = 4;

/** What the filter returns: the whole frame goes to the socket; none of it. */
const TO_SOCKET = -1;
const NOT_TO_SOCKET = 0;
/** TCX_NEXT is TC_ACT_UNSPEC: as if there were no program. */
const TC_NEXT = -1;
const TC_DROP = 2;
const BPF_F_RECOMPUTE_CSUM = 1;

/** Of the stack, from the frame pointer. */
const KEY_AT = -KEY_SPACE;
const IP_AT = KEY_AT - 24;
const INDEX_AT = IP_AT - 8;
const BYTE_AT = INDEX_AT - 8;

const FP: Register = 10;

/** register = map's value for the u32 at `at` of the stack, or 0. Ends up in r0. */
const lookUp = (code: Assembler, map: number, at: number): Assembler =>
  code.aluRegister('mov', 2, FP).alu('add', 2, at).map(1, map).call('map_lookup_elem');

const loadBytes = (code: Assembler, from: number, to: number, length: number, failed: string): Assembler =>
  code
    .aluRegister('mov', 1, 6)
    .alu('mov', 2, from)
    .aluRegister('mov', 3, FP)
    .alu('add', 3, to)
    .alu('mov', 4, length)
    .call('skb_load_bytes')
    .jumpIf('ne', 0, 0, failed);

/** r7 = least length of what is behind the IP header, by the protocol in r8, which must be TCP or UDP. */
const transport = (code: Assembler, name: string): Assembler =>
  code
    .alu('mov', 7, TCP_HEADER)
    .jumpIf('eq', 8, TCP, name)
    .alu('mov', 7, UDP_HEADER)
    .jumpIf('ne', 8, UDP, 'miss')
    .label(name)
    .store(1, FP, KEY_AT + KEY.PROTO, 8);

/** Fills the key from an IPv4 header without options of a packet in one piece; the TTL is left in r9. */
const ipv4 = (code: Assembler): Assembler => {
  loadBytes(code.label('ipv4'), L3_OFFSET, IP_AT, IPV4_HEADER + 4, 'miss')
    .load(1, 1, FP, IP_AT)
    .jumpIf('ne', 1, 0x45, 'miss')
    .load(2, 1, FP, IP_AT + 6)
    .alu('and', 1, MORE_OR_OFFSET)
    .jumpIf('ne', 1, 0, 'miss')
    .load(1, 8, FP, IP_AT + 9);
  transport(code, 'ipv4 transport')
    .load(2, 1, FP, IP_AT + 2)
    .swap(1, 16)
    .alu('add', 7, IPV4_HEADER)
    .jumpIfRegister('lt', 1, 7, 'miss')
    .load(1, 1, FP, IP_AT + 1)
    .store(1, FP, KEY_AT + KEY.TOS, 1);
  for (let i = 0; i < 12; i += 4)
    code.load(4, 1, FP, IP_AT + 12 + i).store(4, FP, KEY_AT + KEY.ADDRESSES + i, 1);
  return code.load(1, 9, FP, IP_AT + 8).jump('look up');
};

/** The same from an IPv6 header without extensions. */
const ipv6 = (code: Assembler): Assembler => {
  loadBytes(code.label('ipv6'), L3_OFFSET, IP_AT, 8, 'miss')
    .load(2, 9, FP, IP_AT)
    .swap(9, 16)
    .aluRegister('mov', 1, 9)
    .alu('rsh', 1, 12)
    .jumpIf('ne', 1, 6, 'miss')
    .alu('rsh', 9, 4)
    .alu('and', 9, 0xff)
    .store(1, FP, KEY_AT + KEY.TOS, 9)
    .load(1, 8, FP, IP_AT + 6);
  transport(code, 'ipv6 transport')
    .load(2, 1, FP, IP_AT + 4)
    .swap(1, 16)
    .jumpIfRegister('lt', 1, 7, 'miss');
  loadBytes(code, L3_OFFSET + 8, KEY_AT + KEY.ADDRESSES, 36, 'miss');
  return code.load(1, 9, FP, IP_AT + 7).jump('look up');
};

/** Leaves r0 for the tc program; without a place for it the frame is as good as unknown. */
const decide = (code: Assembler, maps: CacheMaps): Assembler =>
  lookUp(code.storeNumber(4, FP, BYTE_AT, 0), maps.decision, BYTE_AT);

/** BPF_PROG_TYPE_SOCKET_FILTER, for a port's packet socket. */
export const filterProgram = (maps: CacheMaps): Uint8Array => {
  const code = new Assembler();
  code.aluRegister('mov', 6, 1);
  for (let at = KEY.ADDRESSES; at < KEY_SPACE; at += 8) code.storeNumber(8, FP, KEY_AT + at, 0);
  code
    .load(4, 1, 6, SKB.IFINDEX)
    .store(4, FP, KEY_AT + KEY.IFINDEX, 1)
    .alu('mov', 2, 0)
    .load(4, 1, 6, SKB.VLAN_PRESENT)
    .jumpIf('eq', 1, 0, 'untagged')
    .load(4, 2, 6, SKB.VLAN_PROTO)
    .alu('lsh', 2, 16)
    .load(4, 1, 6, SKB.VLAN_TCI)
    .aluRegister('or', 2, 1)
    .label('untagged')
    .store(4, FP, KEY_AT + KEY.VLAN, 2);
  loadBytes(code, MAC_OFFSET, KEY_AT + KEY.ETHERNET, ETH_HEADER, 'miss')
    .load(2, 1, FP, KEY_AT + KEY.ETH_TYPE)
    .jumpIf('eq', 1, TYPE_IPV4, 'ipv4')
    .jumpIf('eq', 1, TYPE_IPV6, 'ipv6')
    .jump('miss');
  ipv4(code);
  ipv6(code);

  lookUp(code.label('look up'), maps.flows, KEY_AT)
    .jumpIf('eq', 0, 0, 'miss')
    .load(4, 7, 0, 0)
    .store(4, FP, INDEX_AT, 7);
  lookUp(code, maps.entries, INDEX_AT).jumpIf('eq', 0, 0, 'miss').aluRegister('mov', 8, 0);
  // The kernel may give an element that was just deleted to another flow while it is being read here.
  for (let at = 0; at < KEY_SPACE; at += 8) {
    code
      .load(8, 1, 8, ENTRY.KEY + at)
      .load(8, 2, FP, KEY_AT + at)
      .jumpIfRegister('ne', 1, 2, 'miss');
  }
  code
    .load(4, 1, 8, ENTRY.TTL)
    .jumpIfRegister('le', 9, 1, 'miss')
    .load(4, 1, 6, SKB.GSO_SIZE)
    .jumpIf('ne', 1, 0, 'fits')
    .load(4, 1, 6, SKB.LEN)
    .load(4, 2, 8, ENTRY.MAX_LENGTH)
    .jumpIfRegister('gt', 1, 2, 'miss')
    .label('fits');
  decide(code, maps)
    .jumpIf('eq', 0, 0, 'to socket')
    .alu('add', 7, 1)
    .store(4, 0, DECISION.ENTRY_PLUS_1, 7)
    .load(4, 1, FP, KEY_AT + KEY.IFINDEX)
    .store(4, 0, DECISION.IFINDEX, 1)
    .exit(NOT_TO_SOCKET);
  decide(code.label('miss'), maps)
    .jumpIf('eq', 0, 0, 'to socket')
    .storeNumber(4, 0, DECISION.ENTRY_PLUS_1, 0)
    .label('to socket')
    .exit(TO_SOCKET);
  return code.assemble();
};

/** skb_store_bytes of what is at base + offset. */
const store = (
  code: Assembler,
  to: number,
  base: Register,
  offset: number,
  length: number,
  flags: number,
): Assembler =>
  code
    .aluRegister('mov', 1, 6)
    .alu('mov', 2, to)
    .aluRegister('mov', 3, base)
    .alu('add', 3, offset)
    .alu('mov', 4, length)
    .alu('mov', 5, flags)
    .call('skb_store_bytes')
    .jumpIf('ne', 0, 0, 'drop');

/** Of the entry; what that does to checksums its differences say. */
const storeBytes = (code: Assembler, to: number, field: number, length: number): Assembler =>
  store(code, to, 8, field, length, 0);

const storeStack = (code: Assembler, to: number, at: number, length: number): Assembler =>
  store(code, to, FP, at, length, BPF_F_RECOMPUTE_CSUM);

/** Executes what follows only if the entry has this edit. r7 holds the edits. */
const unless = (code: Assembler, edit: number, label: string): Assembler =>
  code.aluRegister('mov', 1, 7).alu('and', 1, edit).jumpIf('eq', 1, 0, label);

const vlanEdits = (code: Assembler): Assembler => {
  unless(code, EDIT.VLAN_POP, 'popped')
    .aluRegister('mov', 1, 6)
    .call('skb_vlan_pop')
    .jumpIf('ne', 0, 0, 'drop')
    .label('popped');
  return unless(code, EDIT.VLAN_PUSH, 'pushed')
    .aluRegister('mov', 1, 6)
    .load(4, 2, 8, ENTRY.VLAN_PROTO)
    .load(4, 3, 8, ENTRY.VLAN_TCI)
    .call('skb_vlan_push')
    .jumpIf('ne', 0, 0, 'drop')
    .label('pushed');
};

/** Takes ENTRY.TTL off the byte at `at` of the frame. */
const decrementTtl = (code: Assembler, at: number, done: string): Assembler => {
  code.load(4, 9, 8, ENTRY.TTL).jumpIf('eq', 9, 0, done);
  loadBytes(code, at, BYTE_AT, 1, 'drop')
    .load(1, 1, FP, BYTE_AT)
    .aluRegister('sub', 1, 9)
    .store(1, FP, BYTE_AT, 1);
  return storeStack(code, at, BYTE_AT, 1).label(done);
};

const ipv4Edits = (code: Assembler): Assembler => {
  storeBytes(unless(code, EDIT.TOS, 'tos4'), L3_OFFSET + 1, ENTRY.TOS, 1).label('tos4');
  storeBytes(unless(code, EDIT.IPS, 'ips4'), L3_OFFSET + 12, ENTRY.IPS, 8).label('ips4');
  decrementTtl(code, L3_OFFSET + 8, 'ttl4');
  code
    .load(4, 4, 8, ENTRY.L3_SUM)
    .jumpIf('eq', 4, 0, 'sum4')
    .aluRegister('mov', 1, 6)
    .alu('mov', 2, L3_OFFSET + 10)
    .alu('mov', 3, 0)
    .alu('mov', 5, 0)
    .call('l3_csum_replace')
    .jumpIf('ne', 0, 0, 'drop')
    .label('sum4');
  return storeBytes(unless(code, EDIT.PORTS, 'l4'), IPV4_L4_OFFSET, ENTRY.PORTS, 4).jump('l4');
};

const ipv6Edits = (code: Assembler): Assembler => {
  code.label('ipv6');
  // The traffic class lies between version and flow label.
  loadBytes(unless(code, EDIT.TOS, 'tos6'), L3_OFFSET, BYTE_AT, 2, 'drop')
    .load(2, 1, FP, BYTE_AT)
    .swap(1, 16)
    .alu('and', 1, 0xf00f)
    .load(4, 2, 8, ENTRY.TOS)
    .alu('lsh', 2, 4)
    .aluRegister('or', 1, 2)
    .swap(1, 16)
    .store(2, FP, BYTE_AT, 1);
  storeStack(code, L3_OFFSET, BYTE_AT, 2).label('tos6');
  storeBytes(unless(code, EDIT.IPS, 'ips6'), L3_OFFSET + 8, ENTRY.IPS, 32).label('ips6');
  decrementTtl(code, L3_OFFSET + 7, 'ttl6');
  return storeBytes(unless(code, EDIT.PORTS, 'ports6'), IPV6_L4_OFFSET, ENTRY.PORTS, 4).label('ports6');
};

/** One change of the L4 checksum by a difference, if there is one. */
const l4Sum = (code: Assembler, field: number, pseudo: boolean, done: string): Assembler => {
  code.load(4, 4, 8, field).jumpIf('eq', 4, 0, done).load(4, 5, 8, ENTRY.L4_SUM_FLAGS);
  if (pseudo) code.alu('or', 5, 1 << 4);
  return code
    .aluRegister('mov', 1, 6)
    .load(4, 2, 8, ENTRY.L4_SUM_AT)
    .alu('mov', 3, 0)
    .call('l4_csum_replace')
    .jumpIf('ne', 0, 0, 'drop')
    .label(done);
};

/** A copy as it leaves for the agent, which knows it by its tag. */
const copyToController = (code: Assembler): Assembler =>
  code
    .load(4, 9, 8, ENTRY.CONTROLLER)
    .jumpIf('eq', 9, 0, 'copied')
    .aluRegister('mov', 1, 6)
    .alu('mov', 2, networkOrder(COPY_TPID))
    .load(4, 3, 8, ENTRY.CONTROLLER_TAG)
    .call('skb_vlan_push')
    .jumpIf('ne', 0, 0, 'drop')
    .aluRegister('mov', 1, 6)
    .aluRegister('mov', 2, 9)
    .alu('mov', 3, 0)
    .call('clone_redirect')
    .aluRegister('mov', 1, 6)
    .call('skb_vlan_pop')
    .jumpIf('ne', 0, 0, 'drop')
    .label('copied');

const count = (code: Assembler, maps: CacheMaps): Assembler =>
  lookUp(code, maps.counters, INDEX_AT)
    .jumpIf('eq', 0, 0, 'next')
    .aluRegister('mov', 9, 0)
    .alu('mov', 1, 1)
    .atomicAdd(9, COUNTER.PACKETS, 1)
    .load(4, 1, 6, SKB.LEN)
    .load(4, 2, 6, SKB.VLAN_PRESENT)
    .jumpIf('eq', 2, 0, 'no tag')
    .alu('add', 1, TAG_BYTES)
    .label('no tag')
    .atomicAdd(9, COUNTER.BYTES, 1)
    .call('ktime_get_coarse_ns')
    .store(8, 9, COUNTER.LAST_NS, 0);

/** BPF_PROG_TYPE_SCHED_CLS, for a port's ingress. */
export const forwardProgram = (maps: CacheMaps): Uint8Array => {
  const code = new Assembler();
  code.aluRegister('mov', 6, 1);
  decide(code, maps)
    .jumpIf('eq', 0, 0, 'next')
    .load(4, 7, 0, DECISION.ENTRY_PLUS_1)
    .jumpIf('eq', 7, 0, 'next')
    .storeNumber(4, 0, DECISION.ENTRY_PLUS_1, 0)
    .load(4, 1, 0, DECISION.IFINDEX)
    .load(4, 2, 6, SKB.IFINDEX)
    .jumpIfRegister('ne', 1, 2, 'next')
    .alu('sub', 7, 1)
    .store(4, FP, INDEX_AT, 7);
  lookUp(code, maps.entries, INDEX_AT).jumpIf('eq', 0, 0, 'next').aluRegister('mov', 8, 0);
  count(code, maps).load(4, 7, 8, ENTRY.EDITS).jumpIf('eq', 7, 0, 'output');
  vlanEdits(code);
  storeBytes(unless(code, EDIT.MACS, 'macs'), MAC_OFFSET, ENTRY.MACS, 12).label('macs');
  unless(code, EDIT.IPV6, 'ipv4').jump('ipv6').label('ipv4');
  ipv4Edits(code);
  ipv6Edits(code).label('l4');
  unless(code, EDIT.L4_SUM, 'output');
  l4Sum(code, ENTRY.L4_ADDRESS_SUM, true, 'address sum');
  l4Sum(code, ENTRY.L4_SUM, false, 'l4 sum').label('output');
  copyToController(code);
  for (let i = 0; i < MAX_COPIES; i++) {
    code
      .load(4, 2, 8, ENTRY.COPIES + 4 * i)
      .jumpIf('eq', 2, 0, 'last output')
      .aluRegister('mov', 1, 6)
      .alu('mov', 3, 0)
      .call('clone_redirect');
  }
  return code
    .label('last output')
    .load(4, 1, 8, ENTRY.OUTPUT)
    .jumpIf('eq', 1, 0, 'drop')
    .alu('mov', 2, 0)
    .call('redirect')
    .exitWithResult()
    .label('drop')
    .exit(TC_DROP)
    .label('next')
    .exit(TC_NEXT)
    .assemble();
};
