/**
 * Takes from the globals, before foreign code runs, what gets around a cell's limits or could disturb the
 * trusted code beside it. What is left is plain ECMAScript without making code from strings.
 */

/** Buffers that grow after creation are not counted against the memory limit: seen to reach 1-2 GB. */
const REMOVED: [object: object, names: string[]][] = [
  [ArrayBuffer.prototype, ['resize', 'transfer', 'transferToFixedLength', 'transferToImmutable']],
  [SharedArrayBuffer.prototype, ['grow']],
  // Waiting blocks the host's thread.
  [Atomics, ['wait', 'waitAsync', 'pause']],
  [globalThis, ['WebAssembly', 'SharedArrayBuffer', 'FinalizationRegistry', 'WeakRef', 'ShadowRealm']],
];

/** What the trusted loop uses while foreign code may run. */
const FROZEN: object[] = [
  Atomics,
  Math,
  Object.getPrototypeOf(Uint8Array),
  Object.getPrototypeOf(Uint8Array.prototype),
  Uint8Array,
  Uint8Array.prototype,
  Int32Array,
  Int32Array.prototype,
  Uint32Array,
  Uint32Array.prototype,
];

export function harden(): void {
  for (const [object, names] of REMOVED) {
    for (const name of names) Reflect.deleteProperty(object, name);
  }
  forbidCodeFromStrings();
  // V8 calls it with every error, at times of its own choosing.
  Object.defineProperty(Error, 'prepareStackTrace', { value: undefined });
  for (const object of FROZEN) Object.freeze(object);
}

function forbidCodeFromStrings(): void {
  const refuse = (): never => {
    throw new EvalError('code from strings is not allowed in uploaded programs');
  };
  const kinds = [() => {}, async () => {}, function* () {}, async function* () {}];
  for (const kind of kinds) {
    Object.defineProperty(Object.getPrototypeOf(kind), 'constructor', { value: refuse, configurable: false });
  }
  for (const name of ['Function', 'eval']) {
    Object.defineProperty(globalThis, name, { value: refuse, writable: false, configurable: false });
  }
}
