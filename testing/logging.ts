/** Loggers of what runs inside a virtual network. */
import pino from 'pino';
import type { Logger } from '../controller/index.ts';

/** For the agent's side: what it has to say is in the trace. */
export const SILENT = pino({ level: 'silent' });

/** The controller's: warnings and errors (an app that throws) go to `note`. */
export const noting = (note: (text: string) => void): Logger => ({
  debug: () => undefined,
  info: () => undefined,
  warn: (_fields, sentence) => note(`warning: ${sentence}`),
  error: (fields, sentence) => {
    const stack = 'stack' in fields ? `\n${fields.stack}` : '';
    note(`error: ${sentence}${stack}`);
  },
  isLevelEnabled: (level) => level !== 'debug' && level !== 'info',
});
