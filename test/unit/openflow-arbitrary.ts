/** fast-check arbitraries derived from the codec's tables: values as `decode` returns them. */
import fc from 'fast-check';
import type { FixedMatchLayout, FixedMatchNode } from '../../openflow/schema/fixed-match.ts';
import type { MessageDef } from '../../openflow/schema/messages.ts';
import { fieldsSize, fixedSize } from '../../openflow/schema/source.ts';
import type {
  CustomNode,
  Fields,
  ItemNode,
  Node,
  OxmField,
  OxmFields,
  UnionNode,
  Variant,
} from '../../openflow/schema/types.ts';

type Arb = fc.Arbitrary<unknown>;

const uint = (bits: number): Arb => fc.bigInt(0n, 2n ** BigInt(bits) - 1n).map(Number);
const bytes = (minLength: number, maxLength: number) => fc.uint8Array({ minLength, maxLength });
const hexOf = (size: number, separator = ''): fc.Arbitrary<string> =>
  bytes(size, size).map((b) => Array.from(b, (x) => x.toString(16).padStart(2, '0')).join(separator));
const mac = hexOf(6, ':');
const ipv4 = bytes(4, 4).map((b) => b.join('.'));

/** The canonical text of an IPv6 address, by a way that is not the codec's: WHATWG URL parsing. */
const ipv6 = fc
  .array(fc.oneof(fc.constant(0), fc.nat(0xffff)), { minLength: 8, maxLength: 8 })
  .map((groups) => new URL(`http://[${groups.map((g) => g.toString(16)).join(':')}]/`).hostname.slice(1, -1));

const text = (maxBytes: number) =>
  fc
    .string({ unit: 'grapheme', maxLength: maxBytes })
    .filter((s) => Buffer.byteLength(s) <= maxBytes && !s.includes('\0') && s.isWellFormed());

function oxmValue(field: OxmField): Arb {
  switch (field.type.kind) {
    case 'uint':
      return uint(field.bits);
    case 'u64':
      return fc.bigInt(0n, 2n ** 64n - 1n);
    case 'mac':
      return mac;
    case 'ipv4':
      return ipv4;
    case 'ipv6':
      return ipv6;
    case 'custom':
      return custom(field.type);
  }
}

/** What encodings of their own can express, by what they say they are. */
function custom(node: CustomNode<unknown>): Arb {
  if ('layout' in node) return fixedMatch((node as FixedMatchNode).layout);
  const make = CUSTOM[node.describe];
  if (make === undefined) throw new TypeError(`no values for ${node.describe}`);
  return make;
}

const oxmId = fc.oneof(
  fc.integer({ min: 0, max: 0xfffeffff }),
  fc.tuple(fc.integer({ min: 0xffff0000, max: 0xffffffff }), uint(32)),
);
const learnSpec = fc.integer({ min: 1, max: 0x3ff }).chain((n_bits) =>
  fc
    .tuple(
      fc.oneof(
        hexOf(2 * Math.ceil(n_bits / 16)).map((value) => ({ value })),
        fc.record({ src: oxmId, src_ofs: uint(16) }, { noNullPrototype: true }),
      ),
      fc.oneof(
        fc.record({ dst_type: fc.constantFrom('match', 'load'), dst: oxmId, dst_ofs: uint(16) }),
        fc.record({ dst_type: fc.constant('output') }),
      ),
    )
    .map(([src, dst]) => ({ n_bits, ...src, ...dst })),
);

const learnSpecs = fc.array(learnSpec, { maxLength: 4 });

/** With a place for the result where flags has the bit for it (4), and only there. */
const learn2 = fc
  .tuple(
    fc.record(
      {
        flags: uint(16),
        table_id: uint(8),
        fin_idle_timeout: uint(16),
        fin_hard_timeout: uint(16),
        limit: uint(32),
        result_ofs: uint(16),
        specs: learnSpecs,
      },
      { noNullPrototype: true },
    ),
    oxmId,
  )
  .map(([learned, result]) => ((learned.flags as number) & 4 ? { ...learned, result } : learned));

const oxmTlv = fc
  .tuple(
    uint(24),
    fc.nat(40).chain((size) => hexOf(size)),
  )
  .map(([upper, value]) => ({ header: (upper as number) * 256 + value.length / 2, value }));

const CUSTOM: Record<string, Arb> = {
  'flow_mod_spec, repeated': learnSpecs,
  'flags u16 and the rest of nx_action_learn2': learn2,
  'OXM header, padded to 10 bytes': oxmId,
  'OXM header, padded to 14 bytes': oxmId,
  'OXM TLV, repeated': fc.array(oxmTlv, { maxLength: 3 }),
  'range_present u16, and what it says is there': fc.record(
    {
      ipv4_min: ipv4,
      ipv4_max: ipv4,
      ipv6_min: ipv6,
      ipv6_max: ipv6,
      proto_min: uint(16),
      proto_max: uint(16),
    },
    { requiredKeys: [], noNullPrototype: true },
  ),
  'seconds u32, nanoseconds u32': fc.record({ sec: uint(32), nsec: uint(32) }, { noNullPrototype: true }),
  '128 bits': hexOf(16),
  bytes: fc.integer({ min: 0, max: 124 }).chain(hexOf),
  'exp_type u16 2560, pbb_uca u8': uint(1),
  'bitmaps u32: bit n of word n / 32 stands for wire version n': fc
    .uniqueArray(fc.nat(255), { maxLength: 6 })
    .map((list) => list.sort((a, b) => a - b)),
};

/** A match of OpenFlow 1.0 or 1.1: a field is absent, compared, or compared in part. */
function fixedMatch(layout: FixedMatchLayout): Arb {
  const parts: Record<string, Arb> = {};
  for (const [name, { type, prefixAt, maskAt }] of Object.entries(layout.fields)) {
    const plain = nodeArbitrary(type);
    const all = type.kind === 'uint' ? 2 ** (8 * type.size) - 1 : 0xffffffffffffffffn;
    const none = { uint: 0, u64: 0n, mac: '00:00:00:00:00:00', ipv4: '0.0.0.0' }[type.kind];
    const full = { uint: all, u64: all, mac: 'ff:ff:ff:ff:ff:ff', ipv4: '255.255.255.255' }[type.kind];
    const wild = plain.filter((value) => value !== none).map((value) => [value, none]);
    const prefix = fc
      .tuple(ipv4, fc.integer({ min: 1, max: 31 }))
      .map(([value, n]) => [value, [24, 16, 8, 0].map((s) => ((-1 << n) >>> s) & 255).join('.')]);
    const masked = fc.tuple(plain, plain).filter(([, mask]) => mask !== none && mask !== full);
    parts[name] = fc.oneof(plain, wild, prefixAt ? prefix : maskAt ? masked : plain);
  }
  return fc.record(parts, { requiredKeys: [], noNullPrototype: true });
}

/** [value, mask] with no bit of the value outside the mask. */
function oxmMasked(field: OxmField): Arb {
  if (fixedSize(field.type) === undefined)
    return fc.integer({ min: 0, max: 124 }).chain((n) => maskedOf(field, n));
  return maskedOf(field, fixedSize(field.type) as number);
}

function maskedOf(field: OxmField, size: number): Arb {
  if (field.type.kind === 'custom') {
    return fc
      .tuple(bytes(size, size), bytes(size, size))
      .map(([v, m]) =>
        [v.map((x, i) => x & m[i]), m].map((b) => (field.type as CustomNode<unknown>).decode(b, 0, size)),
      );
  }
  if (field.type.kind === 'uint') {
    return fc
      .tuple(uint(field.bits), uint(8 * size))
      .map(([v, m]) => [((v as number) & (m as number)) >>> 0, m]);
  }
  if (field.type.kind === 'u64') {
    const u64 = fc.bigInt(0n, 2n ** 64n - 1n);
    return fc.tuple(u64, u64).map(([v, m]) => [v & m, m]);
  }
  const kind = field.type.kind;
  return fc.tuple(bytes(size, size), bytes(size, size)).map(([v, m]) => {
    const show = (b: number[]) => {
      if (kind === 'ipv4') return b.join('.');
      const pairs = b.map((x) => x.toString(16).padStart(2, '0'));
      if (kind === 'mac') return pairs.join(':');
      const groups = Array.from({ length: 8 }, (_, i) => pairs[2 * i] + pairs[2 * i + 1]);
      return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
    };
    return [show(Array.from(v, (x, i) => x & m[i])), show([...m])];
  });
}

export function oxmArbitrary(field: OxmField): Arb {
  return field.maskable ? fc.oneof(oxmValue(field), oxmMasked(field)) : oxmValue(field);
}

function match(fields: OxmFields): Arb {
  return fc
    .shuffledSubarray(Object.keys(fields), { maxLength: Math.min(8, Object.keys(fields).length) })
    .chain((names) => fc.tuple(...names.map((name) => oxmArbitrary(fields[name]).map((v) => [name, v]))))
    .map((entries) => Object.fromEntries(entries as [string, unknown][]));
}

export function setFieldArbitrary(fields: OxmFields, masked = false): Arb {
  const settable = Object.keys(fields).filter((name) => fields[name].settable);
  const value = masked ? oxmArbitrary : oxmValue;
  return fc.oneof(...settable.map((name) => value(fields[name]).map((one) => ({ [name]: one }))));
}

export function variantArbitrary(type: string, variant: Variant, aligned = false): Arb {
  // `rest` in a structure whose length must be a multiple of 8 can only have certain lengths.
  const { data, ...others } = variant.fields as Fields;
  const start = variant.experimenter === undefined ? 4 : 10;
  const spare =
    aligned && data?.kind === 'rest' ? (8 - ((start + (fieldsSize(others) as number)) % 8)) % 8 : undefined;
  const rest = spare === undefined ? undefined : fc.nat(3).chain((n) => bytes(spare + 8 * n, spare + 8 * n));
  return fieldsArbitrary(variant.fields, rest).map((value) => ({ type, ...value }));
}

function item(node: ItemNode): Arb {
  if (node.kind === 'union') return unionArbitrary(node);
  return node.kind === 'struct' ? fieldsArbitrary(node.fields) : uint(8 * node.size);
}

export function unionArbitrary(node: UnionNode): Arb {
  const aligned = node.options.padded === 'inside';
  return fc.oneof(
    ...Object.entries(node.variants).map(([type, v]) => variantArbitrary(type, v as Variant, aligned)),
  );
}

export function nodeArbitrary(node: Node): Arb {
  switch (node.kind) {
    case 'uint':
      return uint(8 * node.size);
    case 'version':
      return uint(8);
    case 'u64':
      return fc.bigInt(0n, 2n ** 64n - 1n);
    case 'mac':
      return mac;
    case 'ipv4':
      return ipv4;
    case 'ipv6':
      return ipv6;
    case 'hex':
      return hexOf(node.size);
    case 'cstring':
      return text(node.size - 1);
    case 'words':
      return fc.array(uint(32), { minLength: node.count, maxLength: node.count });
    case 'rest':
      return bytes(0, 40);
    case 'text':
      return text(60);
    case 'custom':
      return custom(node);
    case 'oxmId':
      return oxmId;
    case 'message':
      return fc.tuple(fc.nat(6), bytes(4, 60)).map(([version, body]) => {
        const length = body.length + 4;
        return new Uint8Array([version, 2, length >> 8, length, ...body]);
      });
    case 'struct':
      return fieldsArbitrary(node.fields);
    case 'list':
      return fc.array(item(node.item), { maxLength: 3 });
    case 'choice':
      return fc.oneof(
        ...Object.entries(node.variants).map(([type, v]) => variantArbitrary(type, v as Variant)),
      );
    case 'match':
      return match(node.oxm);
    case 'oxm':
      return setFieldArbitrary(node.oxm, node.masked);
    default:
      // A stand-in of tests for data: none.
      if ((node as { kind: string }).kind === 'empty') return fc.constant(new Uint8Array(0));
      throw new TypeError(`a ${node.kind} has no value`);
  }
}

function fieldsArbitrary(fields: Fields, data?: Arb): fc.Arbitrary<Record<string, unknown>> {
  const parts: Record<string, Arb> = {};
  for (const [name, node] of Object.entries(fields)) {
    if ('hidden' in node) continue;
    parts[name] = name === 'data' && data !== undefined ? data : nodeArbitrary(node);
  }
  return fc.record(parts, { noNullPrototype: true });
}

/** Any message of one type, all fields given. */
export function messageArbitrary(type: string, def: MessageDef): fc.Arbitrary<Record<string, unknown>> {
  return fc.tuple(uint(32), fieldsArbitrary(def.fields)).map(([xid, value]) => ({ type, xid, ...value }));
}
