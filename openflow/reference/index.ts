/** What the tables of a version declare, in words: messages, their fields, and all that stands in these. */
import type { MessageDefs } from '../schema/messages.ts';
import type { Fields, ItemNode, Node, StructNode, UnionNode, Variants } from '../schema/types.ts';
import { FIELDS } from './fields.ts';
import { MESSAGES } from './messages.ts';

export interface FieldReference {
  readonly name: string;
  /** TypeScript type, and in brackets what of it fits, e.g. `number (16 bits)`. */
  readonly type: string;
  /** May be left out when encoding. */
  readonly optional: boolean;
  /** What it says, and its unit. */
  readonly text: string;
}
/** A message, or what stands in one: a body, a structure, an action, a property, ... */
export interface Reference {
  readonly name: string;
  readonly fields: readonly FieldReference[];
}
export interface MessageReference extends Reference {
  /** Of the specification of the version, or where else the message is specified. */
  readonly section: string;
  readonly text: string;
}

function typeOf(node: Node | ItemNode): string {
  switch (node.kind) {
    case 'uint':
      return `number (${node.size * 8} bits)`;
    case 'u64':
      return 'bigint (64 bits)';
    case 'mac':
      return 'string (Ethernet address)';
    case 'ipv4':
      return 'string (IPv4)';
    case 'ipv6':
      return 'string (IPv6)';
    case 'hex':
      return `string (${2 * node.size} hexadecimal digits)`;
    case 'cstring':
      return `string (${node.size - 1} bytes)`;
    case 'text':
      return 'string';
    case 'version':
      return 'number (8 bits)';
    case 'words':
      return `number[] (${node.count} of 32 bits)`;
    case 'rest':
      return 'Uint8Array';
    case 'message':
      return 'Uint8Array (a message)';
    case 'oxmId':
      return 'number, or [number, number] of an experimenter';
    case 'custom':
      return node.describe;
    case 'struct':
      return node.name;
    case 'union':
      return `${node.options.name} of any type`;
    case 'list':
      return `list of ${typeOf(node.item)}`;
    case 'choice':
      return `${node.name} of one type`;
    case 'match':
      return node.form === 'stats' ? 'statistics by name' : 'match';
    case 'oxm':
      return 'match of one field';
    default:
      return '';
  }
}

/** What is said of a field; undefined where nothing is. */
export const fieldText = (place: string, field: string): string | undefined =>
  FIELDS[`${place} ${field}`] ?? FIELDS[field];

/** What is said of a message; undefined where nothing is. */
export const messageText = (name: string, section: string): string | undefined =>
  MESSAGES[`${section} ${name}`] ?? MESSAGES[name];

function reference(name: string, fields: Fields): Reference {
  const seen: FieldReference[] = [];
  for (const [field, node] of Object.entries(fields)) {
    if ('hidden' in node) continue;
    const text = fieldText(name, field) ?? '';
    seen.push({ name: field, type: typeOf(node), optional: 'optional' in node, text });
  }
  return { name, fields: seen };
}

/** Every message of a version's table (`messages` of its entry), in the order of the table. */
export function describeMessages(table: MessageDefs): MessageReference[] {
  return Object.entries(table).map(([name, { section, fields }]) => ({
    ...reference(name, fields),
    section,
    text: messageText(name, section) ?? '',
  }));
}

/** All that stands in the messages of a version's table, each once, by name. */
export function describeParts(table: MessageDefs): Reference[] {
  const parts = new Map<string, Reference>();
  const add = (name: string, fields: Fields) => {
    if (parts.has(name)) return;
    parts.set(name, reference(name, fields));
    within(fields);
  };
  const variants = (name: string, all: Variants) => {
    for (const type in all) add(`${name} ${type}`, all[type].fields);
  };
  const item = (node: ItemNode | StructNode | UnionNode) => {
    if (node.kind === 'struct') add(node.name, node.fields);
    else if (node.kind === 'union') variants(node.options.name, node.variants);
  };
  const within = (fields: Fields) => {
    for (const node of Object.values(fields)) {
      if (node.kind === 'list') item(node.item);
      else if (node.kind === 'struct') item(node);
      else if (node.kind === 'choice') variants(node.name, node.variants);
    }
  };
  for (const { fields } of Object.values(table)) within(fields);
  return [...parts.values()];
}
