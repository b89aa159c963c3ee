/** Numbers for people and for scripts. */

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** Nearest-rank quantile. */
export function quantile(values: readonly number[], q: number): number {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))];
}

/** The least and the most, as text. */
export function spread(values: readonly number[], digits = 0): string {
  if (values.length === 0) return '-';
  return `${round(Math.min(...values), digits)} - ${round(Math.max(...values), digits)}`;
}

export const round = (value: number, digits = 2): number => Number(value.toFixed(digits));

/** A row's column with the median of these values, and one with their spread. */
export const column = (
  name: string,
  values: readonly number[],
  digits = 0,
): Record<string, string | number> => ({
  [name]: round(median(values), digits),
  [`${name} spread`]: spread(values, digits),
});

/** Where the figures were taken. `load`: processes that ran or wanted to in the last minute. */
export function machine() {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: round(totalmem() / 2 ** 30, 1),
    kernel: readFileSync('/proc/sys/kernel/osrelease', 'latin1').trim(),
    node: process.version,
    load: round(loadavg()[0], 1),
  };
}

/** Of all rows, in the order in which they come. */
export const columnsOf = (rows: readonly object[]): string[] => [
  ...new Set(rows.flatMap((row) => Object.keys(row))),
];

/** A plain table, columns as wide as needed. */
export function table(rows: readonly Record<string, string | number>[]): string {
  if (rows.length === 0) return '';
  const columns = columnsOf(rows);
  const width = columns.map((name) =>
    Math.max(name.length, ...rows.map((row) => String(row[name] ?? '').length)),
  );
  const line = (cells: readonly (string | number)[]) =>
    cells
      .map((cell, i) => (i === 0 ? String(cell).padEnd(width[i]) : String(cell).padStart(width[i])))
      .join('  ');
  return [line(columns), ...rows.map((row) => line(columns.map((name) => row[name] ?? '')))].join('\n');
}

const RESULTS = new URL('../results/', import.meta.url);

function resultFolder(name: string): URL {
  const folder = name === '' ? RESULTS : new URL(`${name}/`, RESULTS);
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** Writes a file such as `scale-memory.svg` to bench/results/, or to a folder there; returns its path. */
export function writeResult(name: string, text: string, folder = ''): string {
  const path = fileURLToPath(new URL(name, resultFolder(folder)));
  writeFileSync(path, text);
  return path;
}

/** What the JSON files there hold. */
export function readResults<T>(folder = ''): T[] {
  const from = resultFolder(folder);
  return readdirSync(from)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => JSON.parse(readFileSync(new URL(name, from), 'utf8')) as T);
}
