/**
 * The demo's screen: what happened scrolls by, and on a terminal a panel below it shows how things stand. In
 * a file or a pipe there is only what happened.
 */

import { type Style, style } from '../lib/style.ts';

/** What the view needs of an output stream. */
export interface Screen {
  isTTY?: boolean;
  columns?: number;
  rows?: number;
  write(text: string): unknown;
}

export class View {
  readonly style: Style;
  readonly #screen: Screen;
  #panel: string[] = [];
  /** Lines of panel on the screen now. */
  #drawn = 0;
  #ended = false;

  constructor(screen: Screen, env: NodeJS.ProcessEnv = process.env) {
    this.#screen = screen;
    this.style = style(screen, env);
  }

  /** A line (or several) that stays. */
  log(text = ''): void {
    if (this.#ended) return;
    this.#screen.write(`${this.#erase()}${text}\n${this.#draw()}`);
  }

  heading(text: string): void {
    this.log(`\n${this.style.bold(text)}`);
  }

  /** Replaces the panel; nothing without a live terminal. Lines longer than the screen are cut. */
  panel(lines: readonly string[]): void {
    if (!this.style.live || this.#ended) return;
    const width = (this.#screen.columns ?? 80) - 1;
    const height = Math.max(3, Math.min(14, (this.#screen.rows ?? 24) - 6));
    const erase = this.#erase();
    this.#panel = lines.slice(0, height).map((line) => line.slice(0, width));
    this.#screen.write(erase + this.#draw());
  }

  /** Takes the panel away. */
  clear(): void {
    this.panel([]);
  }

  /** The last line; what still comes from parts that were interrupted is not shown. */
  end(text: string): void {
    this.clear();
    this.log(text);
    this.#ended = true;
  }

  #erase(): string {
    if (this.#drawn === 0) return '';
    const up = `\x1b[${this.#drawn}A\r\x1b[J`;
    this.#drawn = 0;
    return up;
  }

  #draw(): string {
    this.#drawn = this.#panel.length;
    return this.#panel.map((line) => `${this.style.dim(line)}\n`).join('');
  }
}
