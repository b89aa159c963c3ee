/**
 * The node kinds that OpenFlow 1.3 does without: matches in other forms, messages in messages, structures told
 * apart by an experimenter's type, alignment. Compilers of their own, so that who needs 1.3 only does not
 * carry them.
 */
import { type Codec, createCodec } from '../codec.ts';
import { type Bound, DecoderCompiler } from './decode.ts';
import { EncoderCompiler, type PartEncoder } from './encode.ts';
import { compileOfpMatchEncoder, emitTlvs, matchEnd } from './match.ts';
import type { MessageDefs } from './messages.ts';
import * as R from './runtime.ts';
import { fieldsSize, readUInt, Source, selfLengthAt, writeUInt } from './source.ts';
import type {
  ChoiceNode,
  ErrorPair,
  Fields,
  MatchNode,
  Node,
  OxmFields,
  StructNode,
  UnionNode,
  Variant,
} from './types.ts';

function putOxmId(b: Uint8Array, o: number, value: unknown, label: string): number {
  const words = Array.isArray(value) ? value : [value];
  const wide = (words[0] as number) >>> 16 === 0xffff;
  if (words.length !== (wide ? 2 : 1)) {
    R.bad(label, value, 'an OXM header, and [header, experimenter] for one of class 0xffff');
  }
  R.putWords(b, o, words.length, words, label);
  return o + 4 * words.length;
}

type Experimenter = NonNullable<Variant['experimenter']>;
/** Whose body of a choice this is: behind its tag stand an experimenter id and a type, 32 bits each. */
const experimenterOf = (node: ChoiceNode, name: string): Experimenter | undefined =>
  (node.variants[name] as Variant).experimenter;

export class ExtendedDecoderCompiler extends DecoderCompiler {
  protected override varying(
    source: Source,
    node: Node,
    at: string,
    variable: string,
    bound: Bound | undefined,
    short: string,
    badLen: ErrorPair,
  ): string {
    switch (node.kind) {
      case 'align':
        return `if(e-(${at})>7)${short};p=e;`;
      case 'message': {
        const length = source.temporary();
        const bad = node.badLen;
        const wrong = bad
          ? `${source.ref(R.fail)}(${bad[0]},${bad[1]},"the message in it is not as long as it says")`
          : short;
        return (
          `if(e-(${at})<8)${wrong};const ${length}=${readUInt(2, `${at}+2`)};` +
          `if(${length}<8||${length}>e-(${at}))${wrong};` +
          `const ${variable}=${source.ref(R.view)}(b,${at},${at}+${length});` +
          `p=${at}+${length};if(p<e){p+=-${length}&7;if(p>e)${short}}`
        );
      }
      case 'oxmId': {
        const wide = source.temporary();
        const header = readUInt(4, at);
        return (
          `if(e-(${at})<4)${short};const ${wide}=b[${at}]===255&&b[${at}+1]===255;` +
          `if(${wide}&&e-(${at})<8)${short};` +
          `const ${variable}=${wide}?[${header},${readUInt(4, `${at}+4`)}]:${header};p=${at}+(${wide}?8:4);`
        );
      }
      case 'struct': {
        // One of varying size that is the rest of what it is in, and says the same.
        const lengthAt = selfLengthAt(node);
        if (lengthAt < 0) break;
        const said = `e-(${at})<${lengthAt + 2}||${readUInt(2, `${at}+${lengthAt}`)}!==e-(${at})`;
        return `if(${said})${short};const ${variable}=${source.ref(this.struct(node))}(b,${at},e);p=e;`;
      }
      case 'choice': {
        const choice = node as ChoiceNode;
        const special = Object.keys(choice.variants).filter((name) => experimenterOf(choice, name));
        if (special.length === 0) break;
        const plain = Object.fromEntries(
          Object.entries(choice.variants).filter(([, { experimenter }]) => experimenter === undefined),
        );
        // What is not known of an experimenter goes to the variant of the tag itself, or is no body at all.
        const others = super.varying(
          source,
          { ...choice, variants: plain },
          at,
          variable,
          bound,
          short,
          badLen,
        );
        let cases = '';
        for (const name of special) {
          const { id, type } = experimenterOf(choice, name) as Experimenter;
          const part = source.ref(this.body(choice, name, badLen));
          cases += `case ${id * 65536 + type}:${variable}=${part}(b,${at}+8,e);p=e;break;`;
        }
        const type = readUInt(4, `${at}+4`);
        const key =
          `${bound?.value}!==65535||e-(${at})<8||${type}>65535?-1:` + `(${readUInt(4, at)})*65536+(${type})`;
        return `let ${variable};switch(${key}){${cases}default:{${others.replace(`let ${variable};`, '')}}}`;
      }
      case 'match': {
        if (node.form === undefined) break;
        const decoder = source.ref(this.match(node.oxm));
        if (node.form === 'bare') return `const ${variable}=${decoder}(b,${at},e,0);p=e;`;
        const end = source.temporary();
        if (node.form === 'stats') {
          return (
            `const ${end}=${source.ref(matchEnd)}(b,${at},e,0);` +
            `const ${variable}=${decoder}(b,${at}+4,${end},0);p=${at}+(${end}-(${at})+7&-8);`
          );
        }
        const length = bound?.value;
        return (
          `const ${end}=${at}+${length};p=${at}+(${length}+7&-8);if(p>e)${short};` +
          `const ${variable}=${decoder}(b,${end}-${length},${end},0);`
        );
      }
    }
    return super.varying(source, node, at, variable, bound, short, badLen);
  }

  /** A structure without a length of its own ends with a match: its header has one, or the lengthOf before it. */
  protected override lengthIn(struct: StructNode): { at: number; length: (read: string) => string } {
    if (selfLengthAt(struct) >= 0) return super.lengthIn(struct);
    const { match: _, ...before } = struct.fields as Fields;
    const size = fieldsSize(before) as number;
    const mark = Object.keys(before).findIndex((name) => before[name].kind === 'lengthOf');
    const first = Object.fromEntries(Object.entries(before).slice(0, mark));
    const at = mark < 0 ? size + 2 : (fieldsSize(first) as number);
    return { at, length: (read) => `${size}+(${read}+7&-8)` };
  }

  protected override cases(source: Source, union: UnionNode): string {
    const { name: label, badType } = union.options;
    let cases = '';
    let known = '';
    let general = false;
    // What is not known of an experimenter goes to the variant of the tag itself.
    let other = `${source.ref(R.fail)}(${badType[0]},${badType[1]},"${label}: an unknown experimenter")`;
    for (const name in union.variants) {
      const { tag, experimenter } = union.variants[name];
      const element = this.element(source, union, name, experimenter === undefined ? 4 : 10);
      if (experimenter !== undefined) {
        known += `case ${experimenter.id * 65536 + experimenter.type}:${element}`;
      } else if (tag === 0xffff) {
        general = true;
        other = element;
      } else {
        cases += `case ${tag}:${element}`;
      }
    }
    const key = `n<10?-1:(${readUInt(4, 'o+4')})*65536+${readUInt(2, 'o+8')}`;
    if (known !== '') return `${cases}case 65535:{switch(${key}){${known}default:${other}}break}`;
    return general ? `${cases}case 65535:${other}` : cases;
  }
}

export class ExtendedEncoderCompiler extends EncoderCompiler {
  /** Encoders of OXS and bare TLVs: the same fields may also be those of an ofp_match. */
  readonly #tlvs = new Map<OxmFields, PartEncoder>();

  protected override varying(
    source: Source,
    node: Node,
    at: string,
    value: string,
    field: string,
    derived: { mark: string; node: Node } | undefined,
  ): string {
    const label = JSON.stringify(field);
    switch (node.kind) {
      case 'align':
        return `p=${source.ref(R.pad8)}(b,o,${at});`;
      case 'message': {
        const begin = source.temporary();
        const put = `const ${begin}=${at};p=${source.ref(R.putBytes)}(b,${begin},${value},${label});`;
        if (node.before === undefined) return put;
        const more = `v.${node.before}!==undefined&&v.${node.before}.length>0`;
        return `${put}if(${more})p=${source.ref(R.pad8)}(b,${begin},p);`;
      }
      case 'oxmId':
        return `p=${source.ref(putOxmId)}(b,${at},${value},${label});`;
      case 'struct':
        return `${source.ref(R.object)}(${value},${label});p=${source.ref(this.struct(node))}(b,${at},${value});`;
      case 'match': {
        if (node.form === undefined) break;
        const check = `${source.ref(R.object)}(${value},${label});`;
        const encoder = source.ref(this.#encoder(node));
        if (node.form !== 'sized') return `${check}p=${encoder}(b,${at},${value});`;
        const begin = source.temporary();
        const length = writeUInt(2, derived?.mark as string, `(p-${begin})`);
        const put = `const ${begin}=${at};p=${encoder}(b,${begin},${value});`;
        return `${check}${put}${length}p=${source.ref(R.pad8)}(b,${begin},p);`;
      }
    }
    return super.varying(source, node, at, value, field, derived);
  }

  #encoder(node: MatchNode): PartEncoder {
    let encoder = this.#tlvs.get(node.oxm);
    if (encoder === undefined) {
      const source = new Source();
      encoder =
        node.form === 'stats'
          ? compileOfpMatchEncoder(node.oxm, 0)
          : (source.build('b,p,m', `${emitTlvs(source, node.oxm)}return p`) as PartEncoder);
      this.#tlvs.set(node.oxm, encoder);
    }
    return encoder;
  }

  protected override body(source: Source, node: ChoiceNode, name: string, at: string, value: string): string {
    const experimenter = experimenterOf(node, name);
    if (experimenter === undefined) return super.body(source, node, name, at, value);
    const { id, type } = experimenter;
    const words = writeUInt(4, at, String(id)) + writeUInt(4, `${at}+4`, String(type));
    return words + super.body(source, node, name, `${at}+8`, value);
  }

  protected override head(variant: Variant): [start: number, code: string] {
    const { experimenter } = variant;
    if (experimenter === undefined) return super.head(variant);
    return [
      10,
      writeUInt(4, 'o+4', String(experimenter.id)) + writeUInt(2, 'o+8', String(experimenter.type)),
    ];
  }
}

/** The codec of a version whose messages have what only extensions and later versions need. As {@link createCodec}. */
export const extendedCodec = <const T extends MessageDefs>(
  version: number,
  table: T,
  open: readonly number[] = [],
): Codec<T> => createCodec(version, table, ExtendedDecoderCompiler, ExtendedEncoderCompiler, open);
