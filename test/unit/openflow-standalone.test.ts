/** The codec stands alone: its README's example runs, and it works where there is nothing but JavaScript. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import vm from 'node:vm';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { messages } from '../../openflow/v13/messages.ts';

const folder = fileURLToPath(new URL('../../openflow/', import.meta.url));

/** Bundles a module in openflow/ and runs it in a context that has no global but those given. */
async function runBare(
  code: string,
  globals: Record<string, unknown> = {},
): Promise<Record<string, unknown>> {
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: folder, loader: 'ts' },
    bundle: true,
    write: false,
    format: 'iife',
    platform: 'neutral',
    minify: true,
    // By the names that it is published under.
    alias: {
      '@flowcell/openflow': `${folder}index.ts`,
      '@flowcell/openflow/translate': `${folder}translate/index.ts`,
    },
  });
  const context = vm.createContext(globals);
  vm.runInContext(outputFiles[0].text, context);
  return context;
}

const readmeExamples = [
  ...readFileSync(`${folder}README.md`, 'utf8').matchAll(/```ts\n(import [\s\S]*?)```/g),
];

test.each(readmeExamples.map(([, code]) => code))(
  'an example in README.md runs and prints what it says',
  async (example) => {
    const printed: string[] = [];
    await runBare(example, { console: { log: (...parts: unknown[]) => printed.push(parts.join(' ')) } });
    const promised = [...example.matchAll(/^\/\/ (\d.*)$/gm)].map((line) => line[1]);
    expect(promised.length).toBeGreaterThan(0);
    expect(printed).toEqual(promised);
  },
);

test('README.md has an example of the codec and one of translation', () => {
  expect(readmeExamples.length).toBe(2);
});

test('the declaration that README.md shows is the one in the table', () => {
  const readme = readFileSync(`${folder}README.md`, 'utf8');
  const shown = /packet_out: message\(13[\s\S]*?\}\),/.exec(readme)?.[0] as string;
  const source = readFileSync(`${folder}v13/messages.ts`, 'utf8').replace(/^ {4}/gm, '');
  expect(source).toContain(shown);
  expect(Object.keys(messages)).toHaveLength(30);
});

test('a bare V8 (no Buffer, TextDecoder, URL, console) is enough', async () => {
  const { result } = await runBare(`
    import { decode, encode, Framer, OpenFlowError } from './index.ts';
    const out: unknown[] = [];
    const message = encode({ type: 'cell_status', state: 1, match: { ipv6_src: 'fe80::1/10' }, detail: 'größer' });
    new Framer().push(message, (bytes) => {
      const decoded = decode(bytes);
      if (decoded.type === 'cell_status') out.push(decoded.detail, decoded.match.ipv6_src);
    });
    try {
      decode(message.subarray(0, 20));
    } catch (error) {
      out.push(error instanceof OpenFlowError && error.code);
    }
    globalThis.result = JSON.stringify(out);
  `);
  expect(JSON.parse(result as string)).toEqual(['größer', ['fe80::', 'ffc0::'], 'FC_OF_BAD_REQUEST_BAD_LEN']);
});

test('constants alone do not bring the codec along', async () => {
  const { outputFiles } = await build({
    stdin: { contents: "export { Port } from './index.ts'", resolveDir: folder, loader: 'ts' },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'neutral',
    minify: true,
    metafile: true,
  });
  expect(outputFiles[0].contents.length).toBeLessThan(3000);
});
