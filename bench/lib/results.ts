/** What benchmarks leave behind in bench/results/: figures for scripts, a picture, and one page of everything. */
import type { BenchResult } from '../run.ts';
import { barPlot } from './plot.ts';
import { type machine, readResults, writeResult } from './report.ts';

export interface Outcome {
  readonly name: string;
  readonly title: string;
  readonly result?: BenchResult;
  /** Why there is no result. */
  readonly error?: string;
}

type Machine = ReturnType<typeof machine>;
type Rows = readonly Record<string, string | number>[];

/** A benchmark's figures as they are kept. */
interface Kept extends Omit<BenchResult, 'plot'> {
  name: string;
  title: string;
  machine: Machine;
  date: string;
}

const PAGE = 'results.md';

/** Writes NAME.json and NAME.svg for each result, and the page, on which earlier results of others stay. Returns the paths. */
export function writeResults(outcomes: readonly Outcome[], where: Machine, date: string): string[] {
  const paths: string[] = [];
  const kept = new Map<string, Kept>();
  for (const one of readResults<Kept>()) kept.set(one.name, one);
  for (const { name, title, result } of outcomes) {
    if (result === undefined) continue;
    const { plot, ...figures } = result;
    const one: Kept = { name, title, machine: where, date, ...figures };
    kept.set(name, one);
    paths.push(writeResult(`${name}.json`, `${JSON.stringify(one, null, 2)}\n`));
    const picture = plot ?? ratioPlot(name, result.ratios);
    if (picture !== undefined) paths.push(writeResult(`${name}.svg`, picture));
  }
  paths.push(writeResult(PAGE, page([...kept.values()], outcomes)));
  return paths;
}

/** Ratios as bars, numbered as in the table beside it; undefined when there is none. */
function ratioPlot(name: string, ratios: Record<string, number>): string | undefined {
  const list = Object.entries(ratios);
  if (list.length === 0) return undefined;
  return barPlot({
    title: name,
    y: { label: 'ratio' },
    groups: list.map(([, value], i) => ({ name: String(i + 1), values: [value] })),
    names: ['ratio, numbered as on the page'],
  });
}

/** Markdown. */
export function page(results: readonly Kept[], outcomes: readonly Outcome[]): string {
  const parts = ['# Benchmark results', ''];
  for (const one of results) {
    const { cpu, cores, memoryGiB, kernel, node } = one.machine;
    parts.push(`## ${one.name}`, '', one.title, '');
    parts.push(`${one.date}: ${cpu}, ${cores} cores, ${memoryGiB} GiB, Linux ${kernel}, Node ${node}`, '');
    const ratios = Object.entries(one.ratios).map(([name, value], i) => ({
      '': i + 1,
      ratio: value,
      of: name,
    }));
    if (ratios.length > 0) parts.push(markdown(ratios), '', `![${one.name}](${one.name}.svg)`, '');
    parts.push(markdown(one.rows), '');
    for (const [name, rows] of Object.entries(one.more ?? {}))
      parts.push(`### ${name}`, '', markdown(rows), '');
  }
  for (const { name, error } of outcomes) if (error !== undefined) parts.push(`${name}: ${error}`, '');
  return parts.join('\n');
}

function markdown(rows: Rows): string {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const line = (cells: readonly (string | number)[]) =>
    `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |`;
  return [
    line(columns),
    line(columns.map(() => '---')),
    ...rows.map((row) => line(columns.map((name) => row[name] ?? ''))),
  ].join('\n');
}
