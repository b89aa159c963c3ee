/** What benchmarks leave behind in bench/results/: figures for scripts, a picture, and one page of everything. */
import type { BenchResult } from './bench.ts';
import { barPlot } from './plot.ts';
import { columnsOf, type machine, readResults, writeResult } from './report.ts';
import type { Goal, Outcome } from './targets.ts';

type Machine = ReturnType<typeof machine>;
type Rows = readonly Record<string, string | number>[];

/** A benchmark's figures as they are kept. */
export interface Kept extends Omit<BenchResult, 'plot'> {
  name: string;
  title: string;
  machine: Machine;
  date: string;
  goals?: readonly Goal[];
  failed?: Readonly<Record<string, string>>;
  seconds?: number;
}

const PAGE = 'results.md';

/**
 * Writes NAME.json and NAME.svg for each result, and the page, on which earlier results of others stay. `folder` is one in
 * bench/results/, for what shall not replace what is there. Returns the paths.
 */
export function writeResults(
  outcomes: readonly Outcome[],
  where: Machine,
  date: string,
  folder = '',
): string[] {
  const paths: string[] = [];
  const write = (name: string, text: string) => paths.push(writeResult(name, text, folder));
  const kept = new Map<string, Kept>();
  for (const one of readResults<Kept>(folder)) kept.set(one.name, one);
  for (const { result, error: _, ...rest } of outcomes) {
    if (result === undefined) continue;
    const { plot, ...figures } = result;
    const one: Kept = { ...rest, machine: where, date, ...figures };
    kept.set(one.name, one);
    write(`${one.name}.json`, `${JSON.stringify(one, null, 2)}\n`);
    const picture = plot ?? ratioPlot(one.name, result.ratios);
    if (picture !== undefined) write(`${one.name}.svg`, picture);
  }
  write(PAGE, page([...kept.values()], outcomes));
  return paths;
}

/** What was wanted beside what was measured. */
export const goalRows = (goals: readonly Goal[]): Rows =>
  goals.map(({ of, measured, target, met }) => ({ measured, target, met: met ? 'yes' : 'no', of }));

/** Each ratio, and what was wanted of it. */
export const ratioRows = ({ ratios }: Pick<BenchResult, 'ratios'>, goals: readonly Goal[]): Rows =>
  Object.entries(ratios).map(([name, ratio], i) => {
    const target = goals.find(({ of }) => of === name)?.target ?? '';
    return { '': i + 1, ratio, target, of: name };
  });

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
  const closing = results.flatMap(({ name, goals = [] }) =>
    goalRows(goals).map((row) => ({ bench: name, ...row })),
  );
  if (closing.length > 0) parts.push('## Beside the targets', '', markdown(closing), '');
  for (const one of results) {
    const { cpu, cores, memoryGiB, kernel, node, load } = one.machine;
    parts.push(`## ${one.name}`, '', one.title, '');
    const took = one.seconds === undefined ? '' : `, ${one.seconds} s`;
    parts.push(
      `${one.date}${took}: ${cpu}, ${cores} cores, ${memoryGiB} GiB, Linux ${kernel}, Node ${node}, load ${load} before the run`,
      '',
    );
    const ratios = ratioRows(one, one.goals ?? []);
    if (ratios.length > 0) parts.push(markdown(ratios), '', `![${one.name}](${one.name}.svg)`, '');
    for (const [step, why] of Object.entries(one.failed ?? {})) parts.push(`Failed: ${step}: ${why}`, '');
    parts.push(markdown(one.rows), '');
    for (const [name, rows] of Object.entries(one.more ?? {}))
      parts.push(`### ${name}`, '', markdown(rows), '');
  }
  for (const { name, error } of outcomes) if (error !== undefined) parts.push(`${name}: ${error}`, '');
  return parts.join('\n');
}

function markdown(rows: Rows): string {
  const columns = columnsOf(rows);
  const line = (cells: readonly (string | number)[]) =>
    `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |`;
  return [
    line(columns),
    line(columns.map(() => '---')),
    ...rows.map((row) => line(columns.map((name) => row[name] ?? ''))),
  ].join('\n');
}
