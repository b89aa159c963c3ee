/**
 * An isolate that is used again is as a new one: whatever its cells were told and got before, the next one answers byte for byte
 * as the first of another isolate, and holds nothing of them.
 */
import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { build } from 'esbuild';
import { afterAll, describe, expect, it } from 'vitest';
import { encode, forgetEncoded, type MessageInit, Port } from '../../openflow/index.ts';
import { ethernet, ipv4, tcp, udp } from '../../packet/index.ts';
import { RENEW, RENEW_FIRST, RUN } from '../../sandbox/channel/layout.ts';
import { builtInPrograms, uploadedRuntime } from '../../sandbox/client/programs.ts';
import { OpenFlowProgram } from '../../sandbox/guest/openflow/program.ts';
import type { Cell } from '../../sandbox/guest/program.ts';
import { GuestHarness } from '../support/guest-harness.ts';
import { IsolateCell, type Step } from '../support/isolate-cell.ts';
import { FUZZED, mutate, random } from '../support/openflow-fuzz.ts';
import { plausibleSamples } from '../support/openflow-plausible.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const [version] = FUZZED;
const SAMPLES = plausibleSamples(version).map(({ bytes }) => bytes);
const ROUNDS = 24;
const STEPS = 40;
/** Enough to tell what each leaves behind from code that is compiled sooner or later. */
const LIVES = 120;

type Pick = (below: number) => number;

/** Entries, groups and meters that packets meet. */
const MODS: ((pick: Pick) => MessageInit)[] = [
  (pick) => ({
    type: 'flow_mod',
    priority: pick(4),
    idle_timeout: pick(3),
    hard_timeout: pick(3),
    flags: pick(2),
    cookie: BigInt(pick(1000)),
    match: pick(2) === 0 ? {} : { eth_type: 0x0800, ip_proto: pick(2) === 0 ? 6 : 17 },
    instructions: [
      ...(pick(4) === 0 ? [{ type: 'meter' as const, meter_id: 1 + pick(2) }] : []),
      {
        type: 'apply_actions',
        actions: [
          ...(pick(3) === 0 ? [{ type: 'push_vlan' as const, ethertype: 0x8100 }] : []),
          ...(pick(3) === 0 ? [{ type: 'set_field' as const, field: { eth_src: '02:00:00:00:00:99' } }] : []),
          ...(pick(3) === 0 ? [{ type: 'group' as const, group_id: 1 + pick(2) }] : []),
          { type: 'output', port: pick(3) === 0 ? Port.CONTROLLER : 2 + pick(3) },
        ],
      },
    ],
  }),
  (pick) => ({
    type: 'group_mod',
    command: pick(3),
    group_type: pick(2),
    group_id: 1 + pick(2),
    buckets: [1, 2].map((weight) => ({ weight, actions: [{ type: 'output' as const, port: 2 + pick(5) }] })),
  }),
  (pick) => ({
    type: 'meter_mod',
    command: pick(3),
    flags: 2,
    meter_id: 1 + pick(2),
    bands: [{ type: 'drop', rate: 1 + pick(100), burst_size: 0 }],
  }),
];

function frame(pick: Pick): Uint8Array {
  const ports = { src: pick(65536), dst: pick(65536) };
  const tcpNext = pick(2) === 0;
  return ethernet({
    type: 0x0800,
    payload: ipv4({ proto: tcpNext ? 6 : 17, ttl: pick(256), payload: tcpNext ? tcp(ports) : udp(ports) }),
  });
}

/** Messages right and wrong, packets, time. */
function life(pick: Pick): Step[] {
  return Array.from({ length: STEPS }, (): Step => {
    switch (pick(5)) {
      case 0:
        return { pass: pick(1500) };
      case 1:
        return { frames: Array.from({ length: 1 + pick(8) }, () => frame(pick)) };
      case 2: {
        const sample = mutate(SAMPLES[pick(SAMPLES.length)], version.wire, pick);
        // Agents send whole messages.
        sample[2] = sample.length >> 8;
        sample[3] = sample.length;
        return { message: sample };
      }
      case 3:
        return { message: SAMPLES[pick(SAMPLES.length)] };
      default:
        return { message: encode(MODS[pick(MODS.length)](pick)) };
    }
  });
}

const cells: IsolateCell[] = [];
const cellOf = (bundle: string): IsolateCell => {
  const cell = new IsolateCell(bundle);
  cells.push(cell);
  return cell;
};
afterAll(() => {
  for (const cell of cells) cell.dispose();
});

describe.each(await builtInPrograms())('an isolate of $name that is used again', ({ code }) => {
  it.each([
    ['at its end', false],
    ['in the first run of the next', true],
  ])('answers byte for byte as a new one, whatever it did before, reset %s', (_, later) => {
    const used = cellOf(code);
    let records = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const pick = random(round);
      for (const step of life(pick)) used.step(step);
      used.renew(later);
      const fresh = cellOf(code);
      for (const step of life(pick)) {
        const expected = fresh.step(step);
        const seen = used.step(step);
        expect(seen.length).toBe(expected.length);
        for (const [i, { bits, region }] of seen.entries()) {
          expect([round, bits]).toEqual([round, expected[i].bits]);
          expect(Buffer.compare(region, expected[i].region)).toBe(0);
          if (bits & RUN.PRODUCED) records++;
        }
      }
      fresh.dispose();
      cells.pop();
      used.renew(later);
    }
    // Otherwise little was compared.
    expect(records).toBeGreaterThan(ROUNDS);
  });

  it('holds no more than a new one', () => {
    const used = cellOf(code);
    const pick = random(1);
    const live = (lives: number): number => {
      for (let i = 0; i < lives; i++) {
        for (const step of life(pick)) used.step(step);
        used.renew(i % 2 === 0);
      }
      return used.heap();
    };
    // What is compiled at first use stays, in a new one as in this; V8 throws some of it away and makes it again.
    const before = live(LIVES);
    // Of a life some ten kilobytes would stay; code that V8 had thrown away at one of the two moments is up to 600 KB.
    expect(live(2 * LIVES) - before).toBeLessThan(2 * LIVES * 6 * 1024);
  });
});

describe('what a cell knew', () => {
  /** Remembers, weakly, the memory that its messages and answers were in. */
  class Watched extends OpenFlowProgram {
    readonly #seen: WeakRef<object>[];

    constructor(seen: WeakRef<object>[]) {
      super();
      this.#seen = seen;
    }

    override start(cell: Cell): void {
      const send = (message: Uint8Array): void => {
        this.#seen.push(new WeakRef(message.buffer));
        cell.send(message);
      };
      super.start({
        id: cell.id,
        now: () => cell.now(),
        send,
        setTimer: cell.setTimer,
        clearTimer: cell.clearTimer,
      });
    }

    override message(message: Uint8Array): void {
      this.#seen.push(new WeakRef(message.buffer));
      super.message(message);
    }
  }

  it('is reachable from nowhere when its program is gone', async () => {
    const seen: WeakRef<object>[] = [];
    const liveOnce = (): void => {
      const pick = random(3);
      const program = new Watched(seen);
      seen.push(new WeakRef(program));
      const harness = new GuestHarness(program);
      for (const step of life(pick)) {
        if ('message' in step) harness.ask(step.message);
        else if ('frames' in step) {
          for (const one of step.frames) harness.push(one);
          harness.run();
          harness.take();
        }
      }
    };
    liveOnce();
    forgetEncoded();
    // Until the end of a turn whatever a WeakRef was made of stays.
    await new Promise((resolve) => setImmediate(resolve));
    collect();
    expect(seen.length).toBeGreaterThan(STEPS / 4);
    expect(seen.filter((ref) => ref.deref() !== undefined)).toEqual([]);
  });
});

it('is not in variables of modules, but for numbers that are written before they are read', async () => {
  const { metafile } = await build({
    entryPoints: ['openflow', 'learning'].map(
      (name) => new URL(`../../sandbox/guest/entry-${name}.ts`, import.meta.url).pathname,
    ),
    bundle: true,
    write: false,
    outdir: '/nowhere',
    metafile: true,
    logLevel: 'silent',
  });
  const variables = Object.keys(metafile.inputs).flatMap((file) => {
    const lines = readFileSync(file, 'utf8').matchAll(/^(?:export )?(?:let|var) (\w+)/gm);
    return [...lines].map(([, name]) => `${file}: ${name}`);
  });
  expect(variables.sort()).toEqual([
    // Of the packet that is parsed at the time.
    'packet/key.ts: l4',
    'packet/key.ts: l4End',
    // Made once, always the same.
    'sandbox/guest/openflow/crc32c.ts: table',
    // What was found last.
    'sandbox/guest/openflow/edit-ttl.ts: nextKind',
  ]);
});

it('an isolate in which foreign code ran is not used again', async () => {
  const cell = cellOf(`${await uploadedRuntime()}; flowcell.program({ packet() {} });`);
  expect(cell.run(RENEW)).toBe(RUN.FAILED);
  expect(cell.run(RENEW_FIRST + 1)).toBe(RUN.FAILED);
});
