/**
 * The switch programs that come with Flowcell, and the runtime that uploaded ones run on: bundled from
 * sandbox/guest/ into one script each, in memory, once per process.
 */
import { createHash } from 'node:crypto';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, stop } from 'esbuild';
import type { ProgramImage } from './types.ts';

const GUEST = new URL('../guest/', import.meta.url);
/** `.ts` in a checkout, `.js` in the installed package. */
const EXTENSION = extname(import.meta.url);

/** Name of the program -> its bundle's entry. The first is the default. */
const BUILT_IN = { openflow: 'entry-openflow', 'learning-switch': 'entry-learning' } as const;
const UPLOADED = 'entry-uploaded';

async function bundle(entry: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(entry + EXTENSION, GUEST))],
    bundle: true,
    write: false,
    format: 'iife',
    platform: 'neutral',
    target: 'esnext',
    // Every isolate keeps a copy of its source.
    minify: true,
    legalComments: 'none',
    logLevel: 'silent',
  });
  return outputFiles[0]!.text;
}

interface Bundles {
  readonly builtIn: readonly ProgramImage[];
  readonly uploadedRuntime: string;
}

let bundles: Promise<Bundles> | undefined;

function allBundles(): Promise<Bundles> {
  bundles ??= bundleAll();
  return bundles;
}

async function bundleAll(): Promise<Bundles> {
  try {
    const [uploadedRuntime, ...builtIn] = await Promise.all([
      bundle(UPLOADED),
      ...Object.entries(BUILT_IN).map(async ([name, entry]): Promise<ProgramImage> => {
        const code = await bundle(entry);
        return { name, hash: createHash('sha256').update(code).digest('hex'), code, trusted: true };
      }),
    ]);
    return { builtIn, uploadedRuntime };
  } finally {
    // Its service is a process of its own, and not needed any more.
    await stop();
  }
}

/** `openflow` (the default) and `learning-switch`. */
export async function builtInPrograms(): Promise<readonly ProgramImage[]> {
  return (await allBundles()).builtIn;
}

/** What is evaluated in an isolate before an uploaded program: `flowcell.program()` and hardened globals. */
export async function uploadedRuntime(): Promise<string> {
  return (await allBundles()).uploadedRuntime;
}
