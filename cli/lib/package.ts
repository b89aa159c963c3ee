/** This package, found by its name: as a checkout and as installed (where what runs is in dist/). */

import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const require = createRequire(import.meta.url);
const manifest = require.resolve('flowcell/package.json');

export const packageVersion = (): string => (require(manifest) as { version: string }).version;

/** Path of a command in bin/. */
export const command = (name: 'flowcell' | 'node'): string => join(dirname(manifest), 'bin', name);
