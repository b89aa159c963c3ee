/** docs/protocol.md says what the tables say. `UPDATE_DOCS=1` writes the diagrams anew. */
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { cellSpec, flowcellMessages, pathCredit } from '../../openflow/flowcell-messages.ts';
import { encode, FLOWCELL_EXPERIMENTER } from '../../openflow/index.ts';
import { layoutOf, messageLayout } from '../../openflow/schema/describe.ts';
import type { MessageDef } from '../../openflow/schema/messages.ts';
import type { Fields } from '../../openflow/schema/types.ts';

const file = new URL('../../docs/protocol.md', import.meta.url);
const defs: [string, MessageDef][] = Object.entries(flowcellMessages);
const layouts: Record<string, string> = {
  ...Object.fromEntries(defs.map(([name, def]) => [name, messageLayout(def)])),
  cell_spec: layoutOf(cellSpec.fields, 0),
  path_credit_item: layoutOf(pathCredit.fields, 0),
};
const BLOCK = /<!-- layout (\w+) -->\n([\s\S]*?)<!-- \/layout -->/g;
const block = (name: string) => `\`\`\`\n${layouts[name]}\n\`\`\`\n`;

if (process.env.UPDATE_DOCS === '1') {
  const text = readFileSync(file, 'utf8');
  writeFileSync(
    file,
    text.replace(BLOCK, (_all, name: string) => `<!-- layout ${name} -->\n${block(name)}<!-- /layout -->`),
  );
}
const page = readFileSync(file, 'utf8');

test('there is a diagram of every message, and it is that of the table', () => {
  const found = Object.fromEntries([...page.matchAll(BLOCK)].map(([, name, text]) => [name, text]));
  expect(found).toEqual(Object.fromEntries(Object.keys(layouts).map((name) => [name, block(name)])));
});

test.each([
  ...defs.map(([name, def]) => [name, def.fields] as const),
  ['cell_spec', cellSpec.fields] as const,
  ['path_credit_item', pathCredit.fields] as const,
])('every field of %s is explained below its diagram', (name, fields: Fields) => {
  const after = page
    .slice(page.indexOf(`<!-- layout ${name} -->`))
    .split('<!-- /layout -->')[1]
    .split('\n#')[0];
  const rows = after.split('\n').filter((line) => line.startsWith('| `'));
  const explained = new Set(
    rows.flatMap((row) => [...row.split('|')[1].matchAll(/`(\w+)`/g)].map((m) => m[1])),
  );
  const declared = Object.keys(fields).filter((field) => fields[field].kind !== 'pad');
  expect([...explained].sort()).toEqual(declared.sort());
});

test('the table of messages has their numbers', () => {
  for (const [name, def] of defs) {
    expect(def.experimenter?.id).toBe(FLOWCELL_EXPERIMENTER);
    expect(page).toContain(`| ${def.experimenter?.type} | [${name}]`);
  }
});

test('the bytes of a match field `cell` are those given', () => {
  const bytes = encode({ type: 'flow_mod', match: { cell: 7 } }).subarray(52, 64);
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
  expect(page).toContain(`cell 7: \`${hex}\``);
});

test('the diagrams have true offsets', () => {
  // Independently of the generator: fields of known value, found where the diagram says.
  const bytes = encode({
    type: 'cell_status',
    state: 0xa1,
    priority: 0xa2a3,
    cell: 0xa4a5a6a7,
    cookie: 0xb1b2b3b4b5b6b7b8n,
    setup_us: 0xc1c2c3c4,
    byte_count: 0xd1d2d3d4d5d6d7d8n,
    detail: 'x',
  });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  expect(view.getUint32(8)).toBe(FLOWCELL_EXPERIMENTER);
  expect(view.getUint32(12)).toBe(4);
  expect(view.getUint8(16)).toBe(0xa1);
  expect(view.getUint16(18)).toBe(0xa2a3);
  expect(view.getUint32(24)).toBe(0xa4a5a6a7);
  expect(view.getBigUint64(32)).toBe(0xb1b2b3b4b5b6b7b8n);
  expect(view.getUint32(40)).toBe(0xc1c2c3c4);
  expect(view.getBigUint64(64)).toBe(0xd1d2d3d4d5d6d7d8n);
  expect(view.getUint16(72)).toBe(1);
  expect(view.getUint8(80)).toBe('x'.charCodeAt(0));
});
