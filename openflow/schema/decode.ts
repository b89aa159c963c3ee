import { compileMatchDecoder, matchEnd, oxmEnd } from './match.ts';
import type { MessageDef } from './messages.ts';
import * as R from './runtime.ts';
import { describeItem, fieldsSize, fixedSize, once, readUInt, Source, selfLengthAt } from './source.ts';
import type {
  ChoiceNode,
  ErrorPair,
  Fields,
  ItemNode,
  ListNode,
  Node,
  OxmFields,
  StructNode,
  UnionNode,
  Variant,
} from './types.ts';

/** The variable with the length, count or tag of a later field. */
export interface Bound {
  readonly value: string;
  readonly counts: boolean;
}

/** Decodes b[o .. end), which it must fill exactly. */
export type PartDecoder = (b: Uint8Array, o: number, end: number) => unknown;

/** Writes decoders as straight-line JavaScript; one per list, structure and set of match fields, made at first use. */
export class DecoderCompiler {
  readonly #parts = new Map<object, PartDecoder>();
  readonly #lists = new Map<object, PartDecoder>();
  readonly #badLen: ErrorPair;

  /** @param badLen error for a message (or a structure that names no other) of the wrong length */
  constructor(badLen: ErrorPair) {
    this.#badLen = badLen;
  }

  /** Decoder of a whole message `b`: header at 0, body checked against b.length. */
  message(name: string, def: MessageDef, start: number): (b: Uint8Array) => unknown {
    const source = new Source();
    const head = [`type:${JSON.stringify(name)}`, `xid:${readUInt(4, '4')}`];
    const body = this.#fields(source, def.fields, name, this.#badLen, start, head);
    return source.build('b', `let p=0;const e=b.length;${body.code}return ${body.value}`) as never;
  }

  /** Returns the code that reads `fields` from `start` bytes after p up to e, and the resulting object. */
  #fields(
    source: Source,
    fields: Fields,
    label: string,
    badLen: ErrorPair,
    start: number,
    head: readonly string[] = [],
  ): { code: string; value: string } {
    const short = `${source.ref(R.short)}(${badLen[0]},${badLen[1]},${JSON.stringify(label)},e-p)`;
    const entries = [...head];
    const derived = new Map<string, Bound>();
    const names = Object.keys(fields);
    const whole = fieldsSize(fields);
    let code = whole === undefined ? '' : `if(e-p!==${start + whole})${short};`;
    let off = start;
    let checked = whole === undefined ? start : start + whole;
    // Where the fields so far end: at p+off, or exactly at e.
    let atEnd = whole !== undefined;

    for (let i = 0; i < names.length; i++) {
      const name = names[i];
      const node = fields[name];
      const size = fixedSize(node);
      if (size !== undefined && off + size > checked) {
        // One check for all fields up to the next of varying size.
        checked = off;
        for (let j = i; j < names.length; j++) {
          const next = fixedSize(fields[names[j]]);
          if (next === undefined) break;
          checked += next;
        }
        code += `if(e-p<${checked})${short};`;
      }
      const at = off === 0 ? 'p' : `p+${off}`;
      if (node.kind === 'pad' || node.kind === 'selfLength') {
        off += node.size;
        continue;
      }
      const variable = source.temporary();
      if (node.kind === 'lengthOf' || node.kind === 'countOf' || node.kind === 'tagOf') {
        code += `const ${variable}=${readUInt(node.size, at)};`;
        derived.set(node.of, { value: variable, counts: node.kind === 'countOf' });
        off += node.size;
        continue;
      }
      if (node.kind !== 'align') entries.push(`${name}:${variable}`);
      if (size !== undefined) {
        code += `const ${variable}=${this.#fixed(source, node, at)};`;
        off += size;
        continue;
      }
      const bound = derived.get(name);
      code += this.varying(source, node, at, variable, bound, short, badLen);
      off = 0;
      checked = 0;
      // A list without a bound of its own, and everything that does not know its length, takes the rest.
      atEnd = !(/^(match|message|oxmId)$/.test(node.kind) || (node.kind === 'list' && bound));
    }
    if (!atEnd) code += `if(e-p!==${off})${short};`;
    return { code, value: `{${entries.join(',')}}` };
  }

  /** Expression for a node of fixed size at `at`. */
  #fixed(source: Source, node: Node, at: string): string {
    switch (node.kind) {
      case 'uint':
        return readUInt(node.size, at);
      case 'u64':
        return `${source.ref(R.u64)}(b,${at})`;
      case 'mac':
        return `${source.ref(R.mac)}(b,${at})`;
      case 'ipv4':
        return `${source.ref(R.ipv4)}(b,${at})`;
      case 'ipv6':
        return `${source.ref(R.ipv6)}(b,${at})`;
      case 'hex':
        return `${source.ref(R.hex)}(b,${at},${node.size})`;
      case 'cstring':
        return `${source.ref(R.cstring)}(b,${at},${node.size})`;
      case 'version':
        return 'b[0]';
      case 'custom':
        return `${source.ref(node.decode)}(b,${at},${at}+${node.size})`;
      case 'words': {
        const each = Array.from({ length: node.count }, (_, i) => readUInt(4, `${at}+${4 * i}`));
        return `[${each.join(',')}]`;
      }
      case 'struct':
        return `${source.ref(this.struct(node))}(b,${at},${at}+${fieldsSize(node.fields)})`;
      default:
        throw new TypeError(`a ${node.kind} has no fixed size`);
    }
  }

  /** Statements that define `variable` from a node of varying size at `at` and move p behind it. */
  protected varying(
    source: Source,
    node: Node,
    at: string,
    variable: string,
    bound: Bound | undefined,
    short: string,
    badLen: ErrorPair,
  ): string {
    switch (node.kind) {
      case 'rest':
        return `const ${variable}=${source.ref(R.view)}(b,${at},e);p=e;`;
      case 'text':
        return `const ${variable}=${source.ref(R.utf8)}(b,${at},e);p=e;`;
      case 'custom':
        return `const ${variable}=${source.ref(node.decode)}(b,${at},e);p=e;`;
      case 'list': {
        const decoder = source.ref(this.list(node as ListNode));
        if (bound === undefined) return `const ${variable}=${decoder}(b,${at},e);p=e;`;
        const end = source.temporary();
        const length = bound.counts ? `${bound.value}*${fixedSize(node.item)}` : bound.value;
        return (
          `const ${end}=${at}+${length};if(${end}>e)${short};` +
          `const ${variable}=${decoder}(b,${at},${end});p=${end};`
        );
      }
      case 'match': {
        const decoder = source.ref(this.match(node.oxm));
        const end = source.temporary();
        return (
          `const ${end}=${source.ref(matchEnd)}(b,${at},e);` +
          `const ${variable}=${decoder}(b,${at}+4,${end},0);p=${at}+(${end}-(${at})+7&-8);`
        );
      }
      case 'oxm': {
        const end = source.temporary();
        return (
          `const ${end}=${source.ref(oxmEnd)}(b,${at},e,${badLen[0]},${badLen[1]},${node.padding ?? 7});` +
          `const ${variable}=${source.ref(this.match(node.oxm))}(b,${at},${end},${node.masked ? 2 : 1});p=e;`
        );
      }
      case 'choice': {
        const tag = bound?.value as string;
        let code = `let ${variable};switch(${tag}){`;
        for (const name in node.variants) {
          const part = source.ref(this.body(node as ChoiceNode, name, badLen));
          code += `case ${node.variants[name].tag}:${variable}=${part}(b,${at},e);break;`;
        }
        const text = `\`${node.name}: there is no type \${${tag}}\``;
        return `${code}default:${source.ref(R.fail)}(${node.badType[0]},${node.badType[1]},${text})}p=e;`;
      }
      default:
        throw new TypeError(`a ${node.kind} cannot stand here`);
    }
  }

  /** Decoder of one of the bodies of a choice. */
  protected body(node: ChoiceNode, name: string, badLen: ErrorPair): PartDecoder {
    const variant: Variant = node.variants[name];
    return this.#part(variant, () =>
      this.#buildPart(variant.fields, `${node.name} ${name}`, badLen, [`type:${JSON.stringify(name)}`]),
    );
  }

  #part(key: object, build: () => PartDecoder): PartDecoder {
    return once(this.#parts, key, build);
  }

  #buildPart(fields: Fields, label: string, badLen: ErrorPair, head: readonly string[] = []): PartDecoder {
    const source = new Source();
    const body = this.#fields(source, fields, label, badLen, 0, head);
    return source.build('b,p,e', `${body.code}return ${body.value}`) as PartDecoder;
  }

  protected match(oxm: OxmFields) {
    return this.#part(oxm, () => compileMatchDecoder(oxm) as PartDecoder);
  }

  struct(node: StructNode): PartDecoder {
    return this.#part(node, () => this.#buildPart(node.fields, node.name, node.badLen ?? this.#badLen));
  }

  /** Decoder of the elements in b[o .. end). Every round consumes at least one byte, so it always ends. */
  list(node: ListNode): PartDecoder {
    return once(this.#lists, node.item, () => this.#buildList(node.item, describeItem(node)));
  }

  /** Offset of the length of a structure in a list, and the length from what is read there. */
  protected lengthIn(struct: StructNode): { at: number; length: (read: string) => string } {
    return { at: selfLengthAt(struct), length: (read) => read };
  }

  #buildList(item: ItemNode, label: string): PartDecoder {
    const source = new Source();
    let loop: string;
    if (item.kind === 'union') {
      loop = this.#unionLoop(source, item);
    } else {
      const badLen = (item.kind === 'struct' ? item.badLen : undefined) ?? this.#badLen;
      const short = `${source.ref(R.short)}(${badLen[0]},${badLen[1]},${JSON.stringify(label)},e-o)`;
      const size = fixedSize(item);
      if (size !== undefined) {
        loop = `if((e-o)%${size})${short};for(;o<e;o+=${size})out.push(${this.#fixed(source, item, 'o')});`;
      } else {
        const { at, length } = this.lengthIn(item as StructNode);
        const decoder = source.ref(this.struct(item as StructNode));
        loop =
          `while(o<e){if(e-o<${at + 2})${short};const n=${length(readUInt(2, `o+${at}`))};` +
          `if(n<${at + 2}||n>e-o)${short};out.push(${decoder}(b,o,o+n));o+=n}`;
      }
    }
    return source.build('b,o,end', `const e=end,out=[];${loop}return out`) as PartDecoder;
  }

  /** Statements that decode one variant of a union behind `start` bytes. */
  protected element(source: Source, union: UnionNode, name: string, start: number): string {
    const { options, variants } = union;
    const label = `${options.name} ${name}`;
    const head = [`type:${JSON.stringify(name)}`];
    const body = this.#fields(source, variants[name].fields, label, options.badLen, start, head);
    return `{${body.code}out.push(${body.value});break}`;
  }

  /** The cases of a switch over the tags of a union. */
  protected cases(source: Source, union: UnionNode): string {
    let cases = '';
    for (const name in union.variants) {
      cases += `case ${union.variants[name].tag}:${this.element(source, union, name, 4)}`;
    }
    return cases;
  }

  #unionLoop(source: Source, union: UnionNode): string {
    const { name, padded, badType, badLen, skipUnknown } = union.options;
    const short = `${source.ref(R.short)}(${badLen[0]},${badLen[1]},${JSON.stringify(name)},end-o)`;
    const cases = this.cases(source, union);
    const unknown = skipUnknown
      ? ''
      : `${source.ref(R.fail)}(${badType[0]},${badType[1]},\`${name}: there is no type \${${readUInt(2, 'o')}}\`)`;
    const alignment = padded === 'inside' ? '||n&7' : '';
    const next = padded === 'outside' ? 'o+(n+7&-8)' : 'o+n';
    const within = padded === 'outside' ? `if(${next}>end)${short};` : '';
    return (
      `while(o<end){if(end-o<4)${short};const n=${readUInt(2, 'o+2')};` +
      `if(n<4||n>end-o${alignment})${short};${within}let p=o;const e=o+n;` +
      `switch(${readUInt(2, 'o')}){${cases}default:${unknown}}o=${next}}`
    );
  }
}
