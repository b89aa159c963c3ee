/** Byte-layout diagrams from the tables, for the documentation; not part of the codec. */
import type { MessageDef } from './messages.ts';
import { fixedSize } from './source.ts';
import type { Fields, Node } from './types.ts';

const CELL = 12;
const WIDTH = 4 * CELL - 1;

interface Part {
  readonly label: string;
  readonly size: number;
}

function nameOf(name: string, node: Node): string {
  switch (node.kind) {
    case 'pad':
      return 'pad';
    case 'hex':
    case 'cstring':
      return `${name} (${node.size} bytes)`;
    default:
      return name;
  }
}

function varying(name: string, node: Node): string {
  switch (node.kind) {
    case 'match':
      return `${name} (ofp_match, padded to 8 bytes)`;
    case 'text':
      return `${name} (UTF-8 to the end)`;
    case 'list':
      return `${name} (${node.item.kind === 'struct' ? node.item.name : node.item.kind}, repeated)`;
    default:
      return `${name} (to the end)`;
  }
}

const centred = (text: string, width: number): string =>
  text.padStart(text.length + Math.max(0, (width - text.length) >> 1)).padEnd(width);

/**
 * The layout of `fields` in rows of four bytes, each row with the offset of its first byte. Rows behind a
 * field of varying size have offsets relative to its end (`+0`).
 */
export function layoutOf(fields: Fields, start: number): string {
  const rule = `      +${`${'-'.repeat(CELL - 1)}+`.repeat(4)}`;
  const lines = [`      ${[0, 1, 2, 3].map((i) => `+${i}`.padEnd(CELL)).join('')}`.trimEnd(), rule];
  let offset = start;
  let prefix = '';
  let row: Part[] = [];
  const flush = () => {
    if (row.length === 0) return;
    const cells = row.map((part) => centred(part.label, part.size * CELL - 1)).join('|');
    lines.push(`${`${prefix}${offset}`.padStart(5)} |${cells}|`, rule);
    offset += row.reduce((sum, part) => sum + part.size, 0);
    row = [];
  };
  for (const name in fields) {
    const node = fields[name];
    const size = fixedSize(node);
    if (size === undefined) {
      flush();
      lines.push(`${`${prefix}${offset}`.padStart(5)} |${centred(varying(name, node), WIDTH)}|`, rule);
      offset = 0;
      prefix = '+';
      continue;
    }
    const label = nameOf(name, node);
    const used = row.reduce((sum, part) => sum + part.size, 0);
    if (used + size <= 4) {
      row.push({ label, size });
      if (used + size === 4) flush();
      continue;
    }
    if (node.kind === 'pad' && used > 0) {
      // Padding that fills this row and the next.
      row.push({ label, size: 4 - used });
      flush();
      row.push({ label, size: size - (4 - used) });
      flush();
      continue;
    }
    flush();
    // Longer fields: one more row, marked where it stands for several.
    lines.push(`${`${prefix}${offset}`.padStart(5)} |${centred(label, WIDTH)}|`);
    if (size > 4) lines.push(`${(size > 8 ? ':' : '').padStart(5)} |${' '.repeat(WIDTH)}|`);
    lines.push(rule);
    offset += size;
  }
  flush();
  return lines.join('\n');
}

/** The layout of a message's body: behind the OpenFlow header, or the experimenter header of an extension. */
export function messageLayout(def: MessageDef): string {
  return layoutOf(def.fields, def.experimenter === undefined ? 8 : 16);
}
