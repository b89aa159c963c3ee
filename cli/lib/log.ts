/** Logs of the long-running commands: sentences on a terminal, JSON lines anywhere else; always on stderr. */

import { type Logger, pino } from 'pino';
import { style } from './style.ts';

const QUIET_FIELDS = new Set(['level', 'time', 'name', 'msg', 'pid', 'hostname']);

/** One pino line for people: time, level (unless info), sentence, then what else it says. */
export function humanLine(
  line: string,
  paint: { dim(text: string): string; red(text: string): string },
): string {
  const { level, time, msg, ...rest } = JSON.parse(line) as { level: number; time: number; msg?: string };
  const clock = new Date(time).toISOString().slice(11, 23);
  const word = pino.levels.labels[level];
  const fields = Object.entries(rest)
    .filter(([name]) => !QUIET_FIELDS.has(name))
    .map(([name, value]) => `${name}=${typeof value === 'object' ? JSON.stringify(value) : value}`)
    .join(' ');
  const mark = level >= 40 ? `${paint.red(word)} ` : word === 'info' ? '' : `${word} `;
  return `${paint.dim(clock)} ${mark}${msg ?? ''}${fields === '' ? '' : ` ${paint.dim(fields)}`}\n`;
}

export function commandLogger(name: string, level: string): Logger {
  if (process.stderr.isTTY !== true) return pino({ name, level }, pino.destination({ fd: 2, sync: true }));
  const paint = style(process.stderr);
  return pino({ name, level }, { write: (line: string) => process.stderr.write(humanLine(line, paint)) });
}
