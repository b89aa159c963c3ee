/** The bundles as cells run them: inside an isolate, with what foreign code can and cannot do there. */
import { build } from 'esbuild';
import ivm from 'isolated-vm';
import { afterEach, describe, expect, it } from 'vitest';
import { decode, encode, type MessageInit } from '../../openflow/index.ts';
import { ByteRing } from '../../sandbox/channel/byte-ring.ts';
import * as layout from '../../sandbox/channel/layout.ts';

const { H, RUN } = layout;

async function bundle(entry: string): Promise<string> {
  const result = await build({
    entryPoints: [new URL(`../../sandbox/guest/${entry}`, import.meta.url).pathname],
    bundle: true,
    write: false,
    format: 'iife',
    target: 'esnext',
  });
  return result.outputFiles[0].text;
}

class TestCell {
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  readonly isolate = new ivm.Isolate({ memoryLimit: 16 });
  private readonly memory = new SharedArrayBuffer(layout.REGION_BYTES);
  private entries: Record<string, ivm.Reference<(argument?: number) => number>> = {};
  private controlIn!: ByteRing;
  private controlOut!: ByteRing;

  constructor() {
    this.words = new Int32Array(this.memory);
    this.bytes = new Uint8Array(this.memory);
  }

  /** As a host does: region, scripts, References, warm-up, attach. */
  load(...scripts: string[]): void {
    const context = this.isolate.createContextSync();
    const { global } = context;
    global.setSync('__region', new ivm.ExternalCopy(this.memory).copyInto());
    global.setSync('__regionOffset', 0);
    // Runs have all the time there is: what one does is then the same on a busy machine.
    context.evalSync('Date.now = () => 0;');
    for (const script of scripts) context.evalSync(script);
    for (const name of ['__warm', '__run']) {
      this.entries[name] = global.getSync(name, { reference: true });
    }
    this.call('__warm');
    // Nothing of the warm-up is left.
    expect(this.words.every((word) => word === 0)).toBe(true);
    this.words[H.CELL_ID] = 42;
    const { words, bytes } = this;
    const { CTL_IN_OFFSET, CTL_IN_BYTES, CTL_OUT_OFFSET, CTL_OUT_BYTES } = layout;
    this.controlIn = new ByteRing(words, H.CTL_IN_HEAD, H.CTL_IN_TAIL, bytes, CTL_IN_OFFSET, CTL_IN_BYTES);
    this.controlOut = new ByteRing(
      words,
      H.CTL_OUT_HEAD,
      H.CTL_OUT_TAIL,
      bytes,
      CTL_OUT_OFFSET,
      CTL_OUT_BYTES,
    );
  }

  call(name: string, argument = 64): number {
    return this.entries[name].applySync(undefined, [argument], { timeout: 60_000 }) as number;
  }

  control(...messages: MessageInit[]): void {
    for (const message of messages) this.controlIn.write(encode(message), 0);
  }

  answers(): Uint8Array {
    const bytes = new Uint8Array(this.controlOut.readable());
    this.controlOut.read(bytes, 0, bytes.length);
    return bytes;
  }
}

const cells: TestCell[] = [];
function makeCell(): TestCell {
  const cell = new TestCell();
  cells.push(cell);
  return cell;
}
afterEach(() => {
  for (const { isolate } of cells.splice(0)) if (!isolate.isDisposed) isolate.dispose();
});

describe('the openflow bundle', () => {
  it('runs without anything of Node, is warmed up and starts clean', async () => {
    const cell = makeCell();
    cell.load(await bundle('entry-openflow.ts'));
    expect(cell.call('__run')).toBe(0);
    cell.control({ type: 'multipart_request', xid: 6, body: { type: 'flow' } });
    expect(cell.call('__run')).toBe(RUN.PRODUCED);
    expect(decode(cell.answers())).toMatchObject({ xid: 6, body: { type: 'flow', flows: [] } });
  });
});

describe('an uploaded program', () => {
  const send = (cell: TestCell) => {
    cell.words[H.RX_HEAD]++;
    return cell.call('__run');
  };

  it('gets packets, messages and the number of its cell', async () => {
    const cell = makeCell();
    cell.load(
      await bundle('entry-uploaded.ts'),
      `let mine;
       flowcell.program({
         start(cell) { mine = cell; },
         packet(packet) { packet.output(mine.id); },
         message(message) { mine.send(message); },
       });`,
    );
    expect(send(cell)).toBe(RUN.PRODUCED);
    expect(cell.words[layout.TX_OFFSET / 4 + layout.TX.PORT]).toBe(42);
    cell.control({ type: 'features_request', xid: 4 });
    expect(cell.call('__run')).toBe(RUN.PRODUCED);
    expect(decode(cell.answers())).toEqual({ type: 'features_request', xid: 4 });
  });

  it.each(['', 'message() {}'])(
    'leaves no barrier unanswered, whatever it does with messages: %s',
    async (handler) => {
      const cell = makeCell();
      cell.load(await bundle('entry-uploaded.ts'), `flowcell.program({ packet() {}, ${handler} });`);
      cell.control({ type: 'barrier_request', xid: 5 });
      expect(cell.call('__run')).toBe(RUN.PRODUCED);
      expect(decode(cell.answers())).toEqual({ type: 'barrier_reply', xid: 5 });
    },
  );

  it('without a method for messages refuses them', async () => {
    const cell = makeCell();
    cell.load(await bundle('entry-uploaded.ts'), 'flowcell.program({ packet() {} });');
    const request: MessageInit = { type: 'multipart_request', xid: 6, body: { type: 'flow' } };
    cell.control(request);
    expect(cell.call('__run')).toBe(RUN.PRODUCED);
    const data = encode(request);
    expect(decode(cell.answers())).toMatchObject({ type: 'error', xid: 6, error_type: 1, code: 1, data });
  });

  it('finds nothing that gets around its limits or makes code from strings', async () => {
    const cell = makeCell();
    // Each line gives true when it must not be possible and is not.
    const attempts = [
      'typeof WebAssembly === "undefined"',
      'typeof SharedArrayBuffer === "undefined"',
      '!("resize" in ArrayBuffer.prototype) && !("transfer" in new ArrayBuffer(1))',
      '!("transferToFixedLength" in new ArrayBuffer(1))',
      '!("wait" in Atomics) && !("waitAsync" in Atomics)',
      'refused(() => eval("1"))',
      'refused(() => (0, eval)("1"))',
      'refused(() => Function("return 1")())',
      'refused(() => (() => {}).constructor("return 1")())',
      'refused(() => (async () => {}).constructor("return 1"))',
      'refused(() => (function* () {}).constructor("yield 1"))',
      'refused(() => (async function* () {}).constructor("yield 1"))',
      'refused(() => Reflect.construct((() => {}).constructor, ["return 1"]))',
      'refused(() => { "use strict"; Atomics.load = () => 0; })',
      'refused(() => { "use strict"; Uint8Array.prototype.set = () => 0; })',
      'refused(() => { "use strict"; globalThis.__run = () => 0; })',
      'refused(() => { "use strict"; Error.prepareStackTrace = () => 0; })',
      'refused(() => flowcell.program({ packet() {} }))',
      'typeof __region === "undefined"',
      // Memory of the region is the only shared memory, and it cannot be made to grow.
      '!region.buffer.growable && refused(() => region.buffer.grow(1 << 20))',
    ];
    cell.load(
      await bundle('entry-uploaded.ts'),
      `let region;
       const refused = (f) => { try { f(); return false; } catch { return true; } };
       const attempts = [${attempts.map((attempt) => `() => ${attempt}`).join(',')}];
       flowcell.program({
         packet(packet) {
           region = packet.bytes;
           const n = attempts.findIndex((attempt) => attempt() !== true);
           packet.output(n + 100);
         },
       });`,
    );
    expect(send(cell)).toBe(RUN.PRODUCED);
    const n = cell.words[layout.TX_OFFSET / 4 + layout.TX.PORT] - 100;
    expect(n < 0 ? 'all refused' : attempts[n]).toBe('all refused');
  });

  it.each([
    ['throws', 'throw new Error("x");'],
    [
      'throws what would loop when looked at',
      'throw new Proxy({}, { get() { for (;;); }, getPrototypeOf() { for (;;); } });',
    ],
    [
      'throws an error whose message loops',
      'const e = new Error(); Object.defineProperty(e, "message", { get() { for (;;); } }); throw e;',
    ],
    ['recurses for ever', 'const f = () => f() + 1; f();'],
    ['throws null', 'throw null;'],
  ])('%s: FAILED, and nothing but a number crosses', async (_, body) => {
    const cell = makeCell();
    cell.load(await bundle('entry-uploaded.ts'), `flowcell.program({ packet() { ${body} } });`);
    expect(send(cell)).toBe(RUN.FAILED);
    expect(send(cell)).toBe(RUN.FAILED);
  });

  it('that was never given fails at its first run', async () => {
    const cell = makeCell();
    cell.load(await bundle('entry-uploaded.ts'), 'const nothing = 1;');
    expect(cell.call('__run')).toBe(RUN.FAILED);
    expect(cell.call('__run')).toBe(RUN.FAILED);
  });
});
