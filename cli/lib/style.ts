/** Colours where a person watches, nothing where output goes to a file or a pipe. */

export interface Style {
  /** A terminal that moves its cursor. */
  readonly live: boolean;
  bold(text: string): string;
  dim(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  red(text: string): string;
  cyan(text: string): string;
}

export function style(stream: { isTTY?: boolean }, env: NodeJS.ProcessEnv = process.env): Style {
  const live = stream.isTTY === true && env.TERM !== 'dumb';
  // https://no-color.org: any non-empty value.
  const colour = live && !env.NO_COLOR;
  const paint = (code: number) => (text: string) => (colour ? `\x1b[${code}m${text}\x1b[0m` : text);
  return {
    live,
    bold: paint(1),
    dim: paint(2),
    red: paint(31),
    green: paint(32),
    yellow: paint(33),
    cyan: paint(36),
  };
}
