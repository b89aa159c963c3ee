/** Every message and field that a version declares is described, and openflow/REFERENCE.md says so. */
import { expect, test } from 'vitest';
import { FIELDS } from '../../openflow/reference/fields.ts';
import {
  describeMessages,
  describeParts,
  type MessageReference,
  type Reference,
} from '../../openflow/reference/index.ts';
import { MESSAGES } from '../../openflow/reference/messages.ts';
import { VERSIONS } from '../support/openflow-versions.ts';

const SECTION = /^(\d(\.\d+)+|A(\.\d+)+|EXT-\d+|nicira-ext\.h|docs\/protocol\.md)$/;

const described = VERSIONS.map(({ name, messages }) => ({
  version: name,
  messages: describeMessages(messages),
  parts: describeParts(messages),
}));

test.each(described)('$version: every message has a section and is described, with all its fields', (one) => {
  for (const { name, section, text } of one.messages) {
    expect(section, name).toMatch(SECTION);
    expect(text, name).not.toBe('');
  }
  for (const { name, fields } of [...one.messages, ...one.parts]) {
    for (const field of fields) {
      expect(field.text, `${name}.${field.name}`).not.toBe('');
      expect(field.type, `${name}.${field.name}`).not.toBe('');
    }
  }
});

test('nothing is described that no version has', () => {
  const all = described.flatMap(({ messages, parts }) => [...messages, ...parts]);
  const fields = new Set(
    all.flatMap(({ name, fields }) => fields.flatMap((f) => [f.name, `${name} ${f.name}`])),
  );
  expect(Object.keys(FIELDS).filter((name) => !fields.has(name))).toEqual([]);
  const messages = new Set(described.flatMap((one) => one.messages.map((message) => message.text)));
  expect(Object.values(MESSAGES).filter((text) => !messages.has(text))).toEqual([]);
});

// REFERENCE.md ----------------------------------------------------------------------------------------------

/** Versions that have the same, together. */
function grouped<T extends Reference>(lists: readonly (readonly T[])[], key: (one: T) => string) {
  const names = new Map<string, Map<string, { one: T; versions: string[] }>>();
  for (const [at, list] of lists.entries()) {
    for (const one of list) {
      const kinds = names.get(one.name) ?? new Map();
      const entry = kinds.get(key(one)) ?? { one, versions: [] };
      entry.versions.push(described[at].version);
      names.set(one.name, kinds.set(key(one), entry));
    }
  }
  return [...names.entries()].sort(([a], [b]) => (a < b ? -1 : 1));
}

const cell = (text: string) => text.replaceAll('|', '\\|');
const table = ({ fields }: Reference): string[] =>
  fields.length === 0
    ? []
    : [
        '| field | type | |',
        '|---|---|---|',
        ...fields.map((f) => `| \`${f.name}\`${f.optional ? '?' : ''} | ${cell(f.type)} | ${cell(f.text)} |`),
        '',
      ];
const shape = (one: Reference) => JSON.stringify(one.fields);

function referenceText(): string {
  const lines = [
    '# Messages',
    '',
    'Every message of every version, what stands in them, and where they are specified. Fields with `?` have a default',
    'and may be left out when encoding; all messages have a `type` and an `xid`. Made from the tables by',
    '`test/unit/openflow-reference.test.ts` (`-u` writes it anew).',
    '',
  ];
  for (const [name, kinds] of grouped<MessageReference>(
    described.map((one) => one.messages),
    shape,
  )) {
    lines.push(`## ${name}`, '');
    for (const { one, versions } of kinds.values()) {
      const where = versions.map((version) => {
        const { messages } = described.find((each) => each.version === version)!;
        return `${version} (${messages.find((each) => each.name === name)!.section})`;
      });
      lines.push(`${where.join(', ')}: ${one.text}`, '', ...table(one));
    }
  }
  lines.push('# What stands in them', '');
  for (const [name, kinds] of grouped(
    described.map((one) => one.parts),
    shape,
  )) {
    if ([...kinds.values()].every(({ one }) => one.fields.length === 0)) continue;
    lines.push(`## ${name}`, '');
    for (const { one, versions } of kinds.values()) {
      lines.push(`${versions.join(', ')}${one.fields.length === 0 ? ': nothing' : ''}`, '', ...table(one));
    }
  }
  return `${lines.join('\n').trimEnd()}\n`;
}

test('REFERENCE.md is what the tables say', async () => {
  await expect(referenceText()).toMatchFileSnapshot('../../openflow/REFERENCE.md');
});
