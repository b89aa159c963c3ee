/** Actions as cells execute them, in words. */

import { FIELDS, type Field, formatIpv4, formatIpv6, formatMac } from '../packet/index.ts';
import { OP, type Op } from '../sandbox/guest/openflow/actions.ts';
import { portName } from './describe.ts';

type Describe = (op: Op) => string;

const hex = (value: number): string => `0x${(value >>> 0).toString(16)}`;
const plain =
  (name: string): Describe =>
  () =>
    name;

const FIELD_BY_OXM: ReadonlyMap<number, Field> = new Map(FIELDS.map((field) => [field.oxm, field]));

const BY_CODE: Readonly<Record<number, Describe>> = {
  [OP.OUTPUT]: ({ a }) => `output:${portName(a >>> 0)}`,
  [OP.CONTROLLER]: plain('output:CONTROLLER'),
  [OP.TABLE]: plain('output:TABLE'),
  [OP.ENQUEUE]: ({ a, b }) => `enqueue:${portName(a >>> 0)},queue ${b >>> 0}`,
  [OP.SET_QUEUE]: ({ a }) => `set_queue:${a >>> 0}`,
  [OP.GROUP]: ({ a }) => `group:${a >>> 0}`,
  [OP.PUSH_VLAN]: ({ a }) => `push_vlan:${hex(a)}`,
  [OP.POP_VLAN]: plain('pop_vlan'),
  [OP.PUSH_MPLS]: ({ a }) => `push_mpls:${hex(a)}`,
  [OP.POP_MPLS]: ({ a }) => `pop_mpls:${hex(a)}`,
  [OP.PUSH_PBB]: ({ a }) => `push_pbb:${hex(a)}`,
  [OP.POP_PBB]: plain('pop_pbb'),
  [OP.SET_NW_TTL]: ({ a }) => `set_nw_ttl:${a}`,
  [OP.DEC_NW_TTL]: plain('dec_nw_ttl'),
  [OP.SET_MPLS_TTL]: ({ a }) => `set_mpls_ttl:${a}`,
  [OP.DEC_MPLS_TTL]: plain('dec_mpls_ttl'),
  [OP.COPY_TTL_OUT]: plain('copy_ttl_out'),
  [OP.COPY_TTL_IN]: plain('copy_ttl_in'),
  [OP.SET_VLAN]: ({ a, b }) => `set_field:${FIELD_BY_OXM.get(a)?.name}=${b}`,
  [OP.SET_TRANSPORT_PORT]: ({ a, b }) => `set_field:${FIELD_BY_OXM.get(a)?.name}=${b}`,
};

const join = (words: readonly number[]): bigint =>
  words.reduce((value, word) => (value << 32n) | BigInt(word >>> 0), 0n);

const describeSetField: Describe = ({ code, a, b, c, d }) => {
  const field = FIELD_BY_OXM.get(code - OP.SET_FIELD);
  if (field === undefined) return `action ${code}`;
  const value = join([a, b, c, d].slice(0, Math.ceil(field.bits / 32)));
  return `set_field:${field.name}=${describeValue(field, value)}`;
};

const describeValue = ({ kind }: Field, value: bigint): string => {
  if (kind === 'mac') return formatMac(value);
  if (kind === 'ipv4') return formatIpv4(Number(value));
  return kind === 'ipv6' ? formatIpv6(value) : String(value);
};

/** `output:2`, `set_field:vlan_vid=4101`. */
export const describeOp: Describe = (op) => (BY_CODE[op.code] ?? describeSetField)(op);
