/** Runs the apps: in order, each fenced off from the others' mistakes. */

import type { App, FlowDecision, FlowQuery } from './app.ts';
import { appMark, cookieMark } from './cells.ts';
import { errorCode, errorText, FlowcellError } from './errors.ts';
import { LogGate, type Logger } from './log.ts';
import type { Counters } from './metrics.ts';

type Handler = Exclude<
  { [K in keyof App]-?: NonNullable<App[K]> extends (...args: never[]) => unknown ? K : never }[keyof App],
  'onFlow'
>;
type HandlerArguments<K extends Handler> = Parameters<NonNullable<App[K]>>;

/** `undefined` app: nobody answered. */
export interface Decision {
  app: string | undefined;
  decision: FlowDecision;
}

const NOBODY: Decision = { app: undefined, decision: null };

export class AppsHost {
  readonly apps: readonly App[];
  readonly #counters: Counters;
  readonly #log: Logger;
  readonly #gate = new LogGate();
  /** Errors per app, for the CLI. */
  readonly errors = new Map<string, number>();

  constructor(apps: readonly App[], counters: Counters, log: Logger) {
    const marks = new Map<number, string>();
    for (const app of apps) {
      const other = marks.get(appMark(app.name));
      if (other !== undefined) {
        throw new FlowcellError(
          'FC_APP_NAME_TAKEN',
          `apps '${other}' and '${app.name}' cannot be told apart by their names; rename one of them`,
        );
      }
      marks.set(appMark(app.name), app.name);
    }
    this.apps = apps;
    this.#counters = counters;
    this.#log = log;
  }

  /** The app that opened the rule with this cookie, by its mark. */
  owner(cookie: bigint): string | undefined {
    const mark = cookieMark(cookie);
    return this.apps.find((app) => appMark(app.name) === mark)?.name;
  }

  /** Calls one handler of all apps, or of the one with this name. */
  notify<K extends Handler>(only: string | undefined, handler: K, ...args: HandlerArguments<K>): void {
    for (const app of this.apps) {
      if (only !== undefined && app.name !== only) continue;
      const method = app[handler] as ((...args: HandlerArguments<K>) => unknown) | undefined;
      if (method === undefined) continue;
      try {
        const result = method.apply(app, args);
        if (isPromise(result)) result.then(undefined, (error) => this.failed(app.name, handler, error));
      } catch (error) {
        this.failed(app.name, handler, error);
      }
    }
  }

  /** Asks the apps in order. Synchronous for as long as the apps are; a promise from the first one that is not. */
  ask(query: FlowQuery, from = 0): Decision | Promise<Decision> {
    for (let i = from; i < this.apps.length; i++) {
      const app = this.apps[i];
      if (app.onFlow === undefined) continue;
      let answer: FlowDecision | Promise<FlowDecision>;
      try {
        answer = app.onFlow(query);
      } catch (error) {
        this.failed(app.name, 'onFlow', error);
        continue;
      }
      if (answer === null || answer === undefined) continue;
      if (isPromise(answer)) return this.#later(app, answer as Promise<FlowDecision>, query, i);
      return { app: app.name, decision: answer as FlowDecision };
    }
    return NOBODY;
  }

  async #later(app: App, answer: Promise<FlowDecision>, query: FlowQuery, index: number): Promise<Decision> {
    try {
      const decision = await answer;
      if (decision !== null && decision !== undefined) return { app: app.name, decision };
    } catch (error) {
      this.failed(app.name, 'onFlow', error);
    }
    return this.ask(query, index + 1);
  }

  /** Counts and logs an app's mistake. */
  failed(app: string, handler: string, error: unknown): void {
    this.#counters.app_errors++;
    this.errors.set(app, (this.errors.get(app) ?? 0) + 1);
    const code = errorCode(error, 'FC_APP_ERROR');
    const held = this.#gate.pass(`${app} ${handler} ${code}`);
    if (held < 0) return;
    const stack = error instanceof Error ? error.stack : undefined;
    this.#log.error(
      { code, app, handler, held, stack },
      `app '${app}' failed in ${handler}: ${errorText(error)}`,
    );
  }
}

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
