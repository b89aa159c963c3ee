/** Tells a story's steps on the view: the first flow step by step, then a line per flow, then only counts. */

import { micros } from '../lib/format.ts';
import type { FlowStory, Step } from './story.ts';
import type { View } from './view.ts';

/** Lines for single flows per chapter; more flows are counted. */
const LINES_PER_CHAPTER = 4;

export class Narrator {
  readonly #view: View;
  #detailed: FlowStory | undefined;
  #shown = 0;
  #untold = 0;

  constructor(view: View) {
    this.#view = view;
  }

  /** Starts a chapter; the flows the last one had no lines for are counted. */
  chapter(title: string): void {
    this.end();
    this.#view.heading(title);
  }

  /** Closes the chapter. */
  end(): void {
    if (this.#untold > 0) {
      this.#view.log(this.#view.style.dim(`  ... and ${this.#untold} more, each with a cell of its own`));
    }
    this.#shown = 0;
    this.#untold = 0;
  }

  tell(step: Step, flow: FlowStory | undefined): void {
    if (flow === undefined) return;
    // The very first flow is told step by step.
    this.#detailed ??= flow;
    if (flow === this.#detailed) this.#detail(step, flow);
    else if (step === 'live') this.#line(flow);
  }

  #detail(step: Step, flow: FlowStory): void {
    const { bold, cyan, green } = this.#view.style;
    const say = (us: number, text: string) => this.#view.log(`  ${`+${micros(us)}`.padStart(10)}  ${text}`);
    if (step === 'query') {
      say(
        0,
        `${cyan('query')}         port ${flow.inPort} has a packet of a flow without a rule: ${bold(flow.name)}`,
      );
    } else if (step === 'rule')
      say(flow.ruleUs, `${cyan('rule')}          the controller opens a cell for it`);
    else if (step === 'ready') {
      const start = micros(flow.cellStartUs);
      say(flow.readyUs, `${cyan('acknowledged')}  cell ${flow.cell} started on the device in ${start}`);
    } else if (step === 'entries') {
      say(
        flow.entriesUs,
        `${cyan('entries')}       ${flow.entries} flow entries pushed into cell ${flow.cell}, and a barrier`,
      );
    } else if (step === 'live') {
      say(flow.liveUs, `${green('live')}          the barrier is answered, the held packet is on its way`);
    }
  }

  #line(flow: FlowStory): void {
    if (++this.#shown > LINES_PER_CHAPTER) {
      this.#untold++;
      return;
    }
    const { green, dim } = this.#view.style;
    const steps = flow.again && flow.ruleUs < 0 ? 'restarted' : `acknowledged +${micros(flow.readyUs)}`;
    this.#view.log(
      `  ${green(`cell ${flow.cell}`)}  ${flow.name}  ` +
        dim(`${steps}, ${flow.entries} entries, live +${micros(flow.liveUs)}`),
    );
  }
}
