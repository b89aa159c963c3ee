import { compileOfpMatchEncoder, compileOxmEncoder } from './match.ts';
import type { MessageDef } from './messages.ts';
import * as R from './runtime.ts';
import { describeItem, fieldsSize, fixedSize, once, Source, writeUInt } from './source.ts';
import type {
  ChoiceNode,
  Fields,
  ItemNode,
  ListNode,
  Node,
  StructNode,
  UnionNode,
  Variant,
} from './types.ts';

/**
 * Writes `value` into `b` at `o` and returns the offset after it, which may be beyond the end of `b`: then
 * nothing useful was written, and the caller tries again with a longer `b`.
 */
export type PartEncoder = (b: Uint8Array, o: number, value: unknown) => number;

const UINT_TEST: Record<number, string> = { 1: '&255', 2: '&65535', 3: '&16777215', 4: '>>>0' };

/** Writes encoders as straight-line JavaScript; one per list, structure and set of match fields, made at first use. */
export class EncoderCompiler {
  readonly #parts = new Map<object, PartEncoder>();
  readonly #lists = new Map<object, PartEncoder>();

  /** Encoder of a whole message but for its length field, which the caller knows last. */
  message(version: number, name: string, def: MessageDef): PartEncoder {
    const source = new Source();
    const xid = { xid: { kind: 'uint', size: 4, default: 0 } } as const;
    let start = 8;
    let code = `b[s]=${version};b[s+1]=${def.tag};b[s+2]=0;b[s+3]=0;`;
    code += this.#fields(source, xid, name, 4).code;
    if (def.experimenter !== undefined) {
      const { id, type } = def.experimenter;
      code += writeUInt(4, 'p+8', String(id)) + writeUInt(4, 'p+12', String(type));
      start = 16;
    }
    const body = this.#fields(source, def.fields, name, start);
    return source.build('b,s,v', `let p=s;${code}${body.code}return ${body.end}`) as PartEncoder;
  }

  /** Statements that write the fields of `v` from p+start on, and the expression for where they end. */
  #fields(source: Source, fields: Fields, label: string, start: number): { code: string; end: string } {
    let code = '';
    let off = start;
    let lengthMark = '';
    const derived = new Map<string, { mark: string; node: Node }>();
    for (const name in fields) {
      const node = fields[name];
      const at = off === 0 ? 'p' : `p+${off}`;
      const field = `${label}.${name}`;
      const size = fixedSize(node);
      if (node.kind === 'pad') {
        code += node.size <= 8 ? writeUInt(node.size, at, '0') : `b.fill(0,${at},${at}+${node.size});`;
      } else if (node.kind === 'lengthOf' || node.kind === 'tagOf' || node.kind === 'countOf') {
        const mark = source.temporary();
        code += `const ${mark}=${at};`;
        derived.set(node.of, { mark, node });
      } else if (node.kind === 'selfLength') {
        lengthMark = source.temporary();
        code += `const ${lengthMark}=${at},${lengthMark}s=p;`;
      } else {
        const value = source.temporary();
        code += `let ${value}=v.${name};`;
        if ('default' in node) {
          const fallback = typeof node.default === 'number' ? String(node.default) : source.ref(node.default);
          code += `if(${value}===undefined)${value}=${fallback};`;
        }
        if (size !== undefined) {
          code += this.#fixed(source, node, at, value, field);
        } else {
          code += this.varying(source, node, at, value, field, derived.get(name));
          off = 0;
          continue;
        }
      }
      off += size as number;
    }
    const end = off === 0 ? 'p' : `p+${off}`;
    if (lengthMark !== '') code += writeUInt(2, lengthMark, `(${end}-${lengthMark}s)`);
    return { code, end };
  }

  #fixed(source: Source, node: Node, at: string, value: string, field: string): string {
    const label = JSON.stringify(field);
    switch (node.kind) {
      case 'uint': {
        const test = `if((${value}${UINT_TEST[node.size]})!==${value})`;
        const expected = `"an integer of 0..${2 ** (8 * node.size) - 1}"`;
        return `${test}${source.ref(R.bad)}(${label},${value},${expected});${writeUInt(node.size, at, value)}`;
      }
      case 'custom':
        return `${source.ref(node.encode)}(b,${at},${value});`;
      case 'version':
        return `if((${value}&255)!==${value})${source.ref(R.bad)}(${label},${value},"an integer of 0..255");b[s]=${value};`;
      case 'u64':
        return `${source.ref(R.putU64)}(b,${at},${value},${label});`;
      case 'mac':
        return `${source.ref(R.putMac)}(b,${at},${value},${label});`;
      case 'ipv4':
        return `${source.ref(R.putIpv4)}(b,${at},${value},${label});`;
      case 'ipv6':
        return `${source.ref(R.putIpv6)}(b,${at},${value},${label});`;
      case 'hex':
        return `${source.ref(R.putHex)}(b,${at},${node.size},${value},${label});`;
      case 'cstring':
        return `${source.ref(R.putCString)}(b,${at},${node.size},${value},${label});`;
      case 'words':
        return `${source.ref(R.putWords)}(b,${at},${node.count},${value},${label});`;
      case 'struct':
        return `${source.ref(R.object)}(${value},${label});${source.ref(this.struct(node))}(b,${at},${value});`;
      default:
        throw new TypeError(`a ${node.kind} has no fixed size`);
    }
  }

  /** Statements that write a node of varying size and leave p behind it. */
  protected varying(
    source: Source,
    node: Node,
    at: string,
    value: string,
    field: string,
    derived: { mark: string; node: Node } | undefined,
  ): string {
    const label = JSON.stringify(field);
    switch (node.kind) {
      case 'rest':
        return `p=${source.ref(R.putBytes)}(b,${at},${value},${label});`;
      case 'text':
        return `p=${source.ref(R.putUtf8)}(b,${at},${value},${label});`;
      case 'custom':
        return `p=${source.ref(node.encode)}(b,${at},${value});`;
      case 'match':
        return `${source.ref(R.object)}(${value},${label});p=${source.ref(this.#part(node.oxm, () => compileOfpMatchEncoder(node.oxm)))}(b,${at},${value});`;
      case 'oxm':
        return `${source.ref(R.object)}(${value},${label});p=${source.ref(this.#part(node, () => compileOxmEncoder(node)))}(b,${at},${value});`;
      case 'list': {
        const begin = source.temporary();
        let code = `if(!Array.isArray(${value}))${source.ref(R.bad)}(${label},${value},"an array");`;
        code += `const ${begin}=${at};p=${source.ref(this.list(node as ListNode))}(b,${begin},${value});`;
        if (derived?.node.kind === 'lengthOf') {
          code += writeUInt(derived.node.size, derived.mark, `(p-${begin})`);
        } else if (derived?.node.kind === 'countOf') {
          const most = 2 ** (8 * derived.node.size) - 1;
          code += `if(${value}.length>${most})${source.ref(R.bad)}(${label},${value}.length,"at most ${most} elements");`;
          code += writeUInt(derived.node.size, derived.mark, `${value}.length`);
        }
        return code;
      }
      case 'choice': {
        const mark = derived?.mark as string;
        let code = `${source.ref(R.object)}(${value},${label});switch(${value}.type){`;
        for (const name in node.variants) {
          const tag = writeUInt(2, mark, String(node.variants[name].tag));
          code += `case ${JSON.stringify(name)}:${tag}${this.body(source, node as ChoiceNode, name, at, value)}break;`;
        }
        return `${code}default:${source.ref(R.unknownType)}(${label},${value}.type)}`;
      }
      default:
        throw new TypeError(`a ${node.kind} cannot stand here`);
    }
  }

  /** Statements that write one of the bodies of a choice at `at`. */
  protected body(source: Source, node: ChoiceNode, name: string, at: string, value: string): string {
    const variant: Variant = node.variants[name];
    const part = this.#part(variant, () => this.#buildPart(variant.fields, `${node.name} ${name}`));
    return `p=${source.ref(part)}(b,${at},${value});`;
  }

  #part(key: object, build: () => PartEncoder): PartEncoder {
    return once(this.#parts, key, build);
  }

  #buildPart(fields: Fields, label: string): PartEncoder {
    const source = new Source();
    const body = this.#fields(source, fields, label, 0);
    return source.build('b,p,v', `${body.code}return ${body.end}`) as PartEncoder;
  }

  struct(node: StructNode): PartEncoder {
    return this.#part(node, () => this.#buildPart(node.fields, node.name));
  }

  list(node: ListNode): PartEncoder {
    return once(this.#lists, node.item, () => this.#buildList(node.item, describeItem(node)));
  }

  #buildList(item: ItemNode, label: string): PartEncoder {
    const source = new Source();
    const check = `${source.ref(R.object)}(v,${JSON.stringify(label)});`;
    let step: string;
    if (item.kind === 'union') step = check + this.#unionStep(source, item);
    else if (item.kind === 'uint') step = `${this.#fixed(source, item, 'o', 'v', label)}o+=${item.size};`;
    else step = `${check}o=${source.ref(this.struct(item))}(b,o,v);`;
    return source.build(
      'b,o,list',
      `for(let i=0;i<list.length;i++){const v=list[i];${step}}return o`,
    ) as PartEncoder;
  }

  /** Bytes before the fields of a variant, and statements that write those behind its tag and length. */
  protected head(_variant: Variant): [start: number, code: string] {
    return [4, ''];
  }

  #unionStep(source: Source, union: UnionNode): string {
    const { name, padded } = union.options;
    let cases = '';
    for (const variantName in union.variants) {
      const { tag, fields } = union.variants[variantName];
      const label = `${name} ${variantName}`;
      const size = fieldsSize(fields);
      const [start, head] = this.head(union.variants[variantName]);
      const body = this.#fields(source, fields, label, start);
      cases += `case ${JSON.stringify(variantName)}:{let p=o;${writeUInt(2, 'o', String(tag))}${head}${body.code}`;
      const end = source.temporary();
      cases += `const ${end}=${body.end};`;
      if (padded === 'inside' && (size === undefined || (size + start) % 8 !== 0)) {
        cases += `if(${end}-o&7)${source.ref(R.bad)}(${JSON.stringify(label)},${end}-o,"a multiple of 8 bytes long");`;
      }
      cases += writeUInt(2, 'o+2', `(${end}-o)`);
      cases += padded === 'outside' ? `o=${source.ref(R.pad8)}(b,o,${end});break}` : `o=${end};break}`;
    }
    return `switch(v.type){${cases}default:${source.ref(R.unknownType)}(${JSON.stringify(name)},v.type)}`;
  }
}
