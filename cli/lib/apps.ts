/** The apps a controller is told to run, by their names: those that ship with it, or files of the user's. */

import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { LearningSwitchOptions } from '../../apps/learning-switch.ts';
import type { App } from '../../controller/index.ts';
import { UserError } from './errors.ts';

/**
 * Makes each app once. A name with a slash or a file's ending is a module whose default export is an app.
 * Throws UserError FC_APP_NOT_FOUND, FC_APP_INVALID.
 */
export async function apps(names: readonly string[], learning: LearningSwitchOptions): Promise<App[]> {
  return await Promise.all(
    [...new Set(names)].map(async (name) => {
      if (name === 'learning-switch') {
        const { learningSwitch } = await import('../../apps/learning-switch.ts');
        return learningSwitch(learning);
      }
      return await fromFile(name);
    }),
  );
}

async function fromFile(name: string): Promise<App> {
  const path = resolve(name);
  if (!/[/.]/.test(name) || !existsSync(path)) {
    throw new UserError(
      'FC_APP_NOT_FOUND',
      `there is no app '${name}': name learning-switch, or a file such as ./my-app.ts that exports one.`,
    );
  }
  const { default: app } = (await import(pathToFileURL(path).href)) as { default?: App };
  if (typeof app !== 'object' || app === null || typeof app.name !== 'string') {
    throw new UserError(
      'FC_APP_INVALID',
      `${path} exports no app: write 'export default defineApp({ name: ... })' in it.`,
    );
  }
  return app;
}
