/**
 * `npm run fuzz`: mutated messages against the decoders of every version, ten million unless said otherwise.
 *
 *   npm run fuzz -- --runs N --seed S   as many, and the same again
 *   npm run -s fuzz -- --json           one JSON object as the last line
 *
 * The decoders run in a thread with a bounded heap, under the eyes of this one: a message that takes longer than
 * HANG_MS, or more memory than there is for it, ends the run and is printed. Exit status 0: none did.
 */
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { FUZZED, type FuzzCounts, fuzzDecoder } from '../support/openflow-fuzz.ts';

const DEFAULT_RUNS = 10_000_000;
const HANG_MS = 20_000;
const HEAP_MIB = 256;
/** Resident memory of the whole process, buffers outside of the heap included. */
const MOST_RSS_MIB = 768;
const MAX_MESSAGE = 65535;
/** In the shared memory: a counter of messages, the length of the present one, and its bytes. */
const HEADER_BYTES = 8;

interface Task {
  readonly runs: number;
  readonly seed: number;
  readonly shared: SharedArrayBuffer;
}
interface Done extends FuzzCounts {
  readonly name: string;
}

function work({ runs, seed, shared }: Task): void {
  const state = new Uint32Array(shared, 0, 2);
  const bytes = new Uint8Array(shared, HEADER_BYTES);
  const each = Math.ceil(runs / FUZZED.length);
  for (const version of FUZZED) {
    const counts = fuzzDecoder(version, each, seed, (message) => {
      bytes.set(message);
      state[1] = message.length;
      state[0]++;
    });
    parentPort?.postMessage({ name: version.name, ...counts } satisfies Done);
  }
}

function supervise(): void {
  const { values } = parseArgs({
    options: { runs: { type: 'string' }, seed: { type: 'string' }, json: { type: 'boolean' } },
  });
  const runs = Number(values.runs ?? DEFAULT_RUNS);
  const seed = Number(values.seed ?? Date.now() & 0x7fffffff);
  if (!Number.isSafeInteger(runs) || runs < 1 || !Number.isInteger(seed)) {
    process.stderr.write('fuzz: --runs is a positive integer, --seed an integer\n');
    process.exit(2);
  }
  const shared = new SharedArrayBuffer(HEADER_BYTES + MAX_MESSAGE);
  const state = new Uint32Array(shared, 0, 2);
  const began = performance.now();
  const done: Done[] = [];
  let mostRss = 0;
  let seen = -1;
  let movedAt = began;

  const finish = (fault?: string): never => {
    const seconds = Math.round((performance.now() - began) / 100) / 10;
    const present = Buffer.from(new Uint8Array(shared, HEADER_BYTES, state[1]).slice()).toString('hex');
    if (fault !== undefined) process.stdout.write(`${fault}\nmessage: ${present}\nseed: ${seed}\n`);
    const peakRssMiB = Math.round(mostRss / 2 ** 20);
    const result = {
      ok: fault === undefined,
      fault,
      runs: state[0],
      seed,
      seconds,
      peakRssMiB,
      versions: done,
    };
    process.stdout.write(`${state[0]} messages in ${seconds} s, at most ${peakRssMiB} MiB resident\n`);
    if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
    process.exit(fault === undefined ? 0 : 1);
  };

  process.stdout.write(`${runs} mutated messages, seed ${seed}\n`);
  const worker = new Worker(new URL(import.meta.url), {
    workerData: { runs, seed, shared } satisfies Task,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB },
  });
  worker.on('message', (one: Done) => {
    done.push(one);
    process.stdout.write(`OpenFlow ${one.name}: ${one.decoded} decoded, ${one.refused} refused\n`);
  });
  worker.on('error', (error) => finish(String(error)));
  worker.on('exit', () => finish(done.length === FUZZED.length ? undefined : 'the thread ended early'));
  setInterval(() => {
    const now = performance.now();
    if (state[0] !== seen) {
      seen = state[0];
      movedAt = now;
    } else if (now - movedAt > HANG_MS) {
      finish(`one message takes longer than ${HANG_MS / 1000} s`);
    }
    mostRss = Math.max(mostRss, process.memoryUsage.rss());
    if (mostRss > MOST_RSS_MIB * 2 ** 20) finish(`more than ${MOST_RSS_MIB} MiB resident`);
  }, 250);
}

if (isMainThread) supervise();
else work(workerData as Task);
