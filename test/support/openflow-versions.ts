/** The versions of the codec for tests over all of them, and what their tables declare. */
import type { MessageDef, MessageDefs } from '../../openflow/schema/messages.ts';
import { fixedSize } from '../../openflow/schema/source.ts';
import type {
  Fields,
  ItemNode,
  Node,
  OxmFields,
  StructNode,
  UnionNode,
  UnionOptions,
  Variants,
} from '../../openflow/schema/types.ts';
import { list, match } from '../../openflow/schema/types.ts';
import * as v10 from '../../openflow/v10/index.ts';
import * as v11 from '../../openflow/v11/index.ts';
import * as v12 from '../../openflow/v12/index.ts';
import * as v13 from '../../openflow/v13/index.ts';
import * as v14 from '../../openflow/v14/index.ts';
import * as v15 from '../../openflow/v15/index.ts';

/** A codec without its types. */
export interface AnyCodec {
  decode(bytes: Uint8Array): { type: string };
  encode(message: unknown): Uint8Array;
}
export interface Version {
  readonly name: string;
  readonly wire: number;
  readonly codec: AnyCodec;
  readonly messages: MessageDefs;
}
const version = (name: string, wire: number, module: { codec: unknown; messages: MessageDefs }): Version => ({
  name,
  wire,
  codec: module.codec as AnyCodec,
  messages: module.messages,
});

export const VERSIONS: readonly Version[] = [
  version('1.0', 1, v10),
  version('1.1', 2, v11),
  version('1.2', 3, v12),
  version('1.3', 4, v13),
  version('1.4', 5, v14),
  version('1.5', 6, v15),
];

/** One union per variant, the bodies of choices, structures, and a match of each field, with their names. */
export function declaredTypes(messages: MessageDefs) {
  const unions: [string, UnionOptions, Variants][] = [];
  const choices: [string, Fields][] = [];
  const structs: [string, Fields][] = [];
  const fields: [string, Fields][] = [];
  const seen = new Set<object>();
  const once = (key: object): boolean => !seen.has(key) && seen.add(key) !== undefined;

  function item(node: ItemNode): void {
    if (node.kind === 'union') eachUnion(node);
    else if (node.kind === 'struct') eachStruct(node);
  }
  function eachUnion({ options, variants }: UnionNode): void {
    if (!once(variants)) return;
    for (const name in variants) {
      unions.push([`${options.name} ${name}`, options, { [name]: variants[name] }]);
      each(variants[name].fields);
    }
  }
  function eachStruct(node: StructNode): void {
    if (!once(node)) return;
    // One that may stand in a message by itself: of fixed size, the others are tested in their lists.
    if (fixedSize(node) !== undefined) structs.push([node.name, node.fields]);
    else structs.push([node.name, { items: list(node) }]);
    each(node.fields);
  }
  function eachOxm(oxm: OxmFields): void {
    if (!once(oxm)) return;
    for (const name in oxm) fields.push([name, { match: match({ [name]: oxm[name] }) }]);
  }
  function each(table: Fields): void {
    for (const name in table) {
      const node: Node = table[name];
      if (node.kind === 'list') item(node.item);
      else if (node.kind === 'struct') eachStruct(node);
      else if (node.kind === 'match' || node.kind === 'oxm') eachOxm(node.oxm);
      else if (node.kind === 'choice') {
        for (const type in node.variants) {
          choices.push([`${node.name} ${type}`, node.variants[type].fields]);
          each(node.variants[type].fields);
        }
      }
    }
  }
  for (const def of Object.values(messages) as MessageDef[]) each(def.fields);
  return { unions, choices, structs, fields };
}
