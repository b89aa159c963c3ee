/**
 * The packet classes of os-ken that its test patterns name, as functions from arguments to layers: the same
 * parameters, defaults and bytes. One difference is deliberate: an SCTP checksum is the CRC32c of RFC 9260,
 * where os-ken under Python 3 takes it over the text `bytearray(b'...')`, so that no switch could ever send
 * what its patterns expect after a rewrite.
 */
import { parseIpv4, parseIpv6, parseMac } from '../../packet/address.ts';
import { checksum16, sum16 } from '../../packet/checksum.ts';
import { type Arguments, ExpressionError, type Functions, integer, type Value } from './expression.ts';

type Values = Record<string, Value | null>;

/** A header: its bytes depend on its payload, and on the header before it, whose addresses checksums cover. */
export class Layer {
  readonly name: string;
  readonly values: Values;
  readonly #serialize: Serializer;

  constructor(name: string, values: Values, serialize: Serializer) {
    this.name = name;
    this.values = values;
    this.#serialize = serialize;
  }

  serialize(payload: Uint8Array, outer: Layer | undefined): Uint8Array {
    return this.#serialize(this.values, payload, outer);
  }
}

type Serializer = (values: Values, payload: Uint8Array, outer: Layer | undefined) => Uint8Array;

const EMPTY = new Uint8Array(0);
const MIN_PAYLOAD = 46;

const concat = (...parts: Uint8Array[]): Uint8Array => Uint8Array.from(Buffer.concat(parts));

/** An integer in `size` bytes; missing values count as 0. */
function be(size: number, value: Value | null | bigint | number): Uint8Array {
  let rest = typeof value === 'number' ? BigInt(value) : integer(value ?? 0n);
  if (rest < 0n || rest >> BigInt(8 * size) !== 0n)
    throw new ExpressionError(`${rest} is no ${8 * size}-bit value`);
  const bytes = new Uint8Array(size);
  for (let i = size - 1; i >= 0; i--, rest >>= 8n) bytes[i] = Number(rest & 255n);
  return bytes;
}

/** An address as text, or as the bytes that netaddr's functions give. */
function address(size: number, parse: (text: string) => bigint | number) {
  return (value: Value | null): Uint8Array => {
    if (typeof value === 'string') return be(size, BigInt(parse(value)));
    if (value instanceof NetworkAddress) return be(size, value.value);
    throw new ExpressionError(`${String(value)} is not an address`);
  };
}
const mac = address(6, parseMac);
const ip4 = address(4, parseIpv4);
const ip6 = address(16, parseIpv6);

/** netaddr.EUI and netaddr.IPAddress of an integer. */
class NetworkAddress {
  readonly value: bigint;
  constructor(value: bigint) {
    this.value = value;
  }
}

const bytesOf = (value: Value | null): Uint8Array => {
  if (value === null) return EMPTY;
  if (value instanceof Uint8Array) return value;
  if (value instanceof Layer) return value.serialize(EMPTY, undefined);
  throw new ExpressionError(`expected bytes or a part of a packet, not ${String(value)}`);
};

const put16 = (bytes: Uint8Array, at: number, value: number): Uint8Array => {
  bytes[at] = value >> 8;
  bytes[at + 1] = value;
  return bytes;
};

/** What TCP, UDP and ICMPv6 checksums cover besides themselves: os-ken takes the first next-header of IPv6. */
function pseudoHeader(outer: Layer | undefined, length: number): Uint8Array {
  if (outer?.name === 'ipv4') {
    const { src, dst, proto } = outer.values;
    return concat(ip4(src), ip4(dst), be(2, proto), be(2, length));
  }
  if (outer?.name === 'ipv6') {
    const { src, dst, nxt } = outer.values;
    return concat(ip6(src), ip6(dst), be(4, length), be(4, nxt));
  }
  throw new ExpressionError('a checksum needs an IP header before it');
}

function withChecksum(
  header: Uint8Array,
  at: number,
  payload: Uint8Array,
  outer: Layer | undefined,
): Uint8Array {
  const pseudo = pseudoHeader(outer, header.length + payload.length);
  const segment = concat(header, payload);
  const sum = sum16(pseudo, 0, pseudo.length);
  return put16(segment, at, checksum16(segment, 0, segment.length, sum)).subarray(0, header.length);
}

const CRC32C = Uint32Array.from({ length: 256 }, (_, i) => {
  let c = i;
  for (let k = 0; k < 8; k++) c = (c & 1) !== 0 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1;
  return c;
});

/** CRC32c as it stands in an SCTP header: low byte first. */
function crc32c(bytes: Uint8Array): Uint8Array {
  let c = 0xffffffff;
  for (const byte of bytes) c = CRC32C[(c ^ byte) & 255] ^ (c >>> 8);
  return be(4, ~c >>> 0).reverse();
}

/** `fields` bits wide each, most significant first, as one integer of their total width. */
function bits(...fields: readonly (readonly [value: Value | null, width: number])[]): Uint8Array {
  let all = 0n;
  let width = 0;
  for (const [value, size] of fields) {
    const field = integer(value ?? 0n);
    if (field < 0n || field >> BigInt(size) !== 0n)
      throw new ExpressionError(`${field} is no ${size}-bit value`);
    all = (all << BigInt(size)) | field;
    width += size;
  }
  return be(width / 8, all);
}

const vlanTag: Serializer = (v) => concat(bits([v.pcp, 3], [v.cfi, 1], [v.vid, 12]), be(2, v.ethertype));

const linkAddressOption =
  (type: number): Serializer =>
  (v) =>
    concat(be(1, type), be(1, v.length === 0n ? 1n : v.length), mac(v.hw_src), bytesOf(v.data));

const ipv6Options: Serializer = (v) => {
  if (v.data !== null || v.size !== 0n) throw new ExpressionError('only the default option is supported');
  return concat(be(1, v.nxt), be(1, v.size), be(1, 1), be(1, 4), be(4, 0));
};

/** Parameters in os-ken's order with its defaults. */
const CLASSES: Readonly<Record<string, readonly [defaults: Values, serialize: Serializer]>> = {
  ethernet: [
    { dst: 'ff:ff:ff:ff:ff:ff', src: '00:00:00:00:00:00', ethertype: 0x0800n },
    (v) => concat(mac(v.dst), mac(v.src), be(2, v.ethertype)),
  ],
  vlan: [{ pcp: 0n, cfi: 0n, vid: 0n, ethertype: 0x0800n }, vlanTag],
  svlan: [{ pcp: 0n, cfi: 0n, vid: 0n, ethertype: 0x8100n }, vlanTag],
  mpls: [
    { label: 0n, exp: 0n, bsb: 1n, ttl: 255n },
    (v) => bits([v.label, 20], [v.exp, 3], [v.bsb, 1], [v.ttl, 8]),
  ],
  itag: [
    { pcp: 0n, dei: 0n, uca: 0n, sid: 0n },
    (v) => bits([v.pcp, 3], [v.dei, 1], [v.uca, 1], [0n, 3], [v.sid, 24]),
  ],
  arp: [
    {
      ...{ hwtype: 1n, proto: 0x0800n, hlen: 6n, plen: 4n, opcode: 1n },
      ...{ src_mac: 'ff:ff:ff:ff:ff:ff', src_ip: '0.0.0.0', dst_mac: 'ff:ff:ff:ff:ff:ff', dst_ip: '0.0.0.0' },
    },
    (v) =>
      concat(
        ...[be(2, v.hwtype), be(2, v.proto), be(1, v.hlen), be(1, v.plen), be(2, v.opcode)],
        ...[mac(v.src_mac), ip4(v.src_ip), mac(v.dst_mac), ip4(v.dst_ip)],
      ),
  ],
  ipv4: [
    {
      ...{ version: 4n, header_length: 5n, tos: 0n, total_length: 0n, identification: 0n, flags: 0n },
      ...{ offset: 0n, ttl: 255n, proto: 0n, csum: 0n, src: '10.0.0.1', dst: '10.0.0.2' },
    },
    (v, payload) => {
      const total = v.total_length === 0n ? 20 + payload.length : v.total_length;
      const header = concat(
        ...[bits([v.version, 4], [v.header_length, 4]), be(1, v.tos), be(2, total), be(2, v.identification)],
        ...[bits([v.flags, 3], [v.offset, 13]), be(1, v.ttl), be(1, v.proto), be(2, 0)],
        ...[ip4(v.src), ip4(v.dst)],
      );
      return put16(header, 10, checksum16(header, 0, header.length));
    },
  ],
  ipv6: [
    {
      ...{ version: 6n, traffic_class: 0n, flow_label: 0n, payload_length: 0n, nxt: 6n, hop_limit: 255n },
      ...{ src: '10::10', dst: '20::20', ext_hdrs: null },
    },
    (v, payload) => {
      const extensions = concat(...((v.ext_hdrs ?? []) as Value[]).map(bytesOf));
      const length = v.payload_length === 0n ? extensions.length + payload.length : v.payload_length;
      return concat(
        bits([v.version, 4], [v.traffic_class, 8], [v.flow_label, 20]),
        ...[be(2, length), be(1, v.nxt), be(1, v.hop_limit), ip6(v.src), ip6(v.dst), extensions],
      );
    },
  ],
  hop_opts: [{ nxt: 6n, size: 0n, data: null }, ipv6Options],
  dst_opts: [{ nxt: 6n, size: 0n, data: null }, ipv6Options],
  auth: [
    { nxt: 6n, size: 2n, spi: 0n, seq: 0n, data: new Uint8Array(4) },
    (v) => concat(be(1, v.nxt), be(1, v.size), be(2, 0), be(4, v.spi), be(4, v.seq), bytesOf(v.data)),
  ],
  tcp: [
    {
      ...{ src_port: 1n, dst_port: 1n, seq: 0n, ack: 0n, offset: 0n, bits: 0n, window_size: 0n, csum: 0n },
      ...{ urgent: 0n, option: null },
    },
    (v, payload, outer) => {
      const option = bytesOf(v.option);
      const padding = new Uint8Array(-option.length & 3);
      const words = 5 + (option.length + padding.length) / 4;
      const header = concat(
        ...[
          be(2, v.src_port),
          be(2, v.dst_port),
          be(4, v.seq),
          be(4, v.ack),
          be(1, words << 4),
          be(1, v.bits),
        ],
        ...[be(2, v.window_size), be(2, v.csum), be(2, v.urgent), option, padding],
      );
      return v.csum === 0n ? withChecksum(header, 16, payload, outer) : header;
    },
  ],
  udp: [
    { src_port: 1n, dst_port: 1n, total_length: 0n, csum: 0n },
    (v, payload, outer) => {
      const length = v.total_length === 0n ? 8 + payload.length : v.total_length;
      const header = concat(be(2, v.src_port), be(2, v.dst_port), be(2, length), be(2, v.csum));
      return v.csum === 0n ? withChecksum(header, 6, payload, outer) : header;
    },
  ],
  sctp: [
    { src_port: 1n, dst_port: 1n, vtag: 0n, csum: 0n, chunks: null },
    (v) => {
      const chunks = ((v.chunks ?? []) as Value[]).map(bytesOf);
      const packet = concat(be(2, v.src_port), be(2, v.dst_port), be(4, v.vtag), be(4, v.csum), ...chunks);
      if (v.csum === 0n) packet.set(crc32c(packet), 8);
      return packet;
    },
  ],
  chunk_data: [
    {
      ...{ unordered: 0n, begin: 0n, end: 0n, length: 0n, tsn: 0n, sid: 0n, seq: 0n, payload_id: 0n },
      payload_data: null,
    },
    (v) => {
      const data = bytesOf(v.payload_data);
      const length = v.length === 0n ? 16 + data.length : v.length;
      return concat(
        ...[be(1, 0), bits([0n, 5], [v.unordered, 1], [v.begin, 1], [v.end, 1]), be(2, length), be(4, v.tsn)],
        ...[be(2, v.sid), be(2, v.seq), be(4, v.payload_id), data],
      );
    },
  ],
  icmp: [
    { type_: 8n, code: 0n, csum: 0n, data: null },
    (v) => {
      const data = v.data === null ? new Uint8Array(4) : bytesOf(v.data);
      const message = concat(be(1, v.type_), be(1, v.code), be(2, v.csum), data);
      return v.csum === 0n ? put16(message, 2, checksum16(message, 0, message.length)) : message;
    },
  ],
  echo: [{ id_: 0n, seq: 0n, data: null }, (v) => concat(be(2, v.id_), be(2, v.seq), bytesOf(v.data))],
  dest_unreach: [
    { data_len: 0n, mtu: 0n, data: null },
    (v) => concat(be(1, 0), be(1, v.data_len), be(2, v.mtu), bytesOf(v.data)),
  ],
  icmpv6: [
    { type_: 0n, code: 0n, csum: 0n, data: null },
    (v, payload, outer) => {
      const message = concat(be(1, v.type_), be(1, v.code), be(2, v.csum), bytesOf(v.data));
      return v.csum === 0n ? withChecksum(message, 2, payload, outer) : message;
    },
  ],
  icmpv6echo: [{ id_: 0n, seq: 0n, data: null }, (v) => concat(be(2, v.id_), be(2, v.seq), bytesOf(v.data))],
  nd_neighbor: [
    { res: 0n, dst: '::', option: null },
    (v) => concat(bits([v.res, 3], [0n, 29]), ip6(v.dst), bytesOf(v.option)),
  ],
  nd_option_sla: [{ length: 0n, hw_src: '00:00:00:00:00:00', data: null }, linkAddressOption(1)],
  nd_option_tla: [{ length: 0n, hw_src: '00:00:00:00:00:00', data: null }, linkAddressOption(2)],
};

/** Python's binding of arguments to parameters. */
function bind(name: string, defaults: Values, { positional, keyword }: Arguments): Values {
  const names = Object.keys(defaults);
  if (positional.length > names.length) throw new ExpressionError(`${name} takes fewer arguments`);
  const values = { ...defaults };
  for (const [index, value] of positional.entries()) values[names[index]] = value;
  for (const [key, value] of Object.entries(keyword)) {
    if (!Object.hasOwn(defaults, key)) throw new ExpressionError(`${name} has no parameter ${key}`);
    values[key] = value;
  }
  return values;
}

/** `random` gives a whole number of 0 .. 2^32 - 1. */
export function packetFunctions(random: () => number): Functions {
  const classes = Object.entries(CLASSES).map(([name, [defaults, serialize]]) => [
    name,
    (args: Arguments) => new Layer(name, bind(name, defaults, args), serialize),
  ]);
  const randint = ({ positional: [low, high] }: Arguments): bigint => {
    const count = integer(high) - integer(low) + 1n;
    let value = 0n;
    for (let drawn = 1n; drawn < count; drawn <<= 32n) value = (value << 32n) | BigInt(random());
    return integer(low) + (value % count);
  };
  const networkAddress = ({ positional: [value] }: Arguments) => new NetworkAddress(integer(value));
  return {
    ...Object.fromEntries(classes),
    bytes: ({ positional: [value] }) => bytesOf(value),
    randint,
    'netaddr.EUI': networkAddress,
    'netaddr.IPAddress': networkAddress,
  };
}

/** Layers from the outside in, as os-ken joins them: an Ethernet header pads what it carries to 46 bytes. */
export function serializeLayers(layers: readonly Value[]): Uint8Array {
  let bytes: Uint8Array = EMPTY;
  for (let i = layers.length - 1; i >= 0; i--) {
    const layer = layers[i];
    if (!(layer instanceof Layer)) {
      bytes = concat(bytesOf(layer), bytes);
      continue;
    }
    const outer = layers[i - 1];
    const header = layer.serialize(bytes, outer instanceof Layer ? outer : undefined);
    const padding = layer.name === 'ethernet' ? Math.max(0, MIN_PAYLOAD - bytes.length) : 0;
    bytes = concat(header, bytes, new Uint8Array(padding));
  }
  return bytes;
}
