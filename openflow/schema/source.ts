import type { Fields, ListNode, Node, StructNode } from './types.ts';

/** JavaScript being written: values it refers to become parameters of the enclosing function. */
export class Source {
  readonly #names = new Map<unknown, string>();
  #temporaries = 0;

  /** The name under which the code can use `value`. */
  ref(value: unknown): string {
    let name = this.#names.get(value);
    if (name === undefined) {
      name = `$${this.#names.size}`;
      this.#names.set(value, name);
    }
    return name;
  }

  /** A fresh variable name. */
  temporary(): string {
    return `t${this.#temporaries++}`;
  }

  /** Compiles `function(parameters) { body }`. The only source of code is the tables of this codec. */
  // biome-ignore lint/complexity/noBannedTypes: the caller knows the signature
  build(parameters: string, body: string): Function {
    const make = new Function(...this.#names.values(), `return function(${parameters}){${body}}`);
    return make(...this.#names.keys());
  }
}

/** Size on the wire of a node, bytes; undefined where it varies. */
export function fixedSize(node: Node): number | undefined {
  switch (node.kind) {
    case 'uint':
    case 'lengthOf':
    case 'countOf':
    case 'selfLength':
    case 'tagOf':
    case 'custom':
    case 'hex':
    case 'cstring':
    case 'pad':
      return node.size;
    case 'version':
      return 0;
    case 'mac':
      return 6;
    case 'ipv4':
      return 4;
    case 'u64':
      return 8;
    case 'words':
      return 4 * node.count;
    case 'ipv6':
      return 16;
    case 'struct':
      return fieldsSize(node.fields);
    default:
      return undefined;
  }
}

/** Sum of the sizes of fields; undefined where one varies. */
export function fieldsSize(fields: Fields): number | undefined {
  let sum = 0;
  for (const name in fields) {
    const size = fixedSize(fields[name]);
    if (size === undefined) return undefined;
    sum += size;
  }
  return sum;
}

/** Offset of the selfLength field, or -1. It always stands before anything of varying size. */
export function selfLengthAt(struct: StructNode): number {
  let at = 0;
  for (const name in struct.fields) {
    const field = struct.fields[name];
    if (field.kind === 'selfLength') return at;
    at += fixedSize(field) ?? Number.NaN;
  }
  return -1;
}

/** The value under `key`, made at first use. */
export function once<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}

export const describeItem = (node: ListNode): string =>
  node.item.kind === 'union'
    ? node.item.options.name
    : node.item.kind === 'struct'
      ? node.item.name
      : 'number';

/** Expression for an unsigned big-endian integer at `at`. */
export function readUInt(size: number, at: string): string {
  const byte = (i: number) => (i === 0 ? `b[${at}]` : `b[${at}+${i}]`);
  const parts: string[] = [];
  for (let i = 0; i < size; i++) {
    const shift = 8 * (size - 1 - i);
    parts.push(shift === 0 ? byte(i) : `${byte(i)}<<${shift}`);
  }
  const sum = parts.join('|');
  return size === 4 ? `(${sum})>>>0` : size === 1 ? sum : `(${sum})`;
}

/** Statements that store the integer `value` (a side-effect-free expression) big-endian at `at`. */
export function writeUInt(size: number, at: string, value: string): string {
  let code = '';
  for (let i = 0; i < size; i++) {
    const shift = 8 * (size - 1 - i);
    code += `b[${at}${i === 0 ? '' : `+${i}`}]=${shift === 0 ? value : `${value}>>>${shift}`};`;
  }
  return code;
}
