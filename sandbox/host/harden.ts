/**
 * Evaluated in every isolate before anything else: takes away what gets around the memory limit (buffers that
 * grow after creation, WebAssembly memories: seen to reach 1-2 GB under a limit of 16 MiB).
 */
export const HARDEN = `
(() => {
  const remove = (object, names) => {
    for (const name of names) if (object && name in object) delete object[name];
  };
  remove(ArrayBuffer.prototype, ['resize', 'transfer', 'transferToFixedLength', 'transferToImmutable']);
  remove(SharedArrayBuffer.prototype, ['grow']);
  remove(globalThis, ['WebAssembly']);
})();
`;

/**
 * Evaluated after the runtime was attached and before foreign code: no code is made from strings any more,
 * neither by name nor by way of a function's constructor.
 */
export const HARDEN_FOREIGN = `
(() => {
  const refuse = () => { throw new EvalError('code from strings is not allowed in uploaded programs'); };
  const kinds = [function () {}, async function () {}, function* () {}, async function* () {}];
  for (const kind of kinds) {
    Object.defineProperty(Object.getPrototypeOf(kind), 'constructor', { value: refuse });
  }
  for (const name of ['Function', 'eval']) {
    Object.defineProperty(globalThis, name, { value: refuse, writable: false, configurable: false });
  }
})();
`;
