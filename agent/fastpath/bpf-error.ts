/** What the kernel refuses of the fast path. Apart from system calls: the flow cache is used without them, too (the test kit's). */
export class BpfError extends Error {
  /** The errno's name. */
  readonly code: string;

  constructor(what: string, code: string, detail = '') {
    super(`BPF: ${what} failed (${code})${detail === '' ? '' : `: ${detail}`}`);
    this.name = 'BpfError';
    this.code = code;
  }
}
