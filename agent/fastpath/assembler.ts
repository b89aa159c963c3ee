/** An assembler for eBPF (Linux, Documentation/bpf/standardization/instruction-set.rst): as much of it as is used here. */

/** Registers: 0 results, 1 to 5 arguments (lost in calls), 6 to 9 kept, 10 the frame pointer. */
export type Register = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10;

/** Size bits of loads and stores. */
const SIZE = { 1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18 } as const;
export type Width = keyof typeof SIZE;

/** Operation bits of BPF_ALU64 (low three bits 7) and BPF_JMP (5); with 8 the second operand is a register. */
const ALU = { add: 0x00, sub: 0x10, or: 0x40, and: 0x50, lsh: 0x60, rsh: 0x70, mov: 0xb0 } as const;
const JUMP = { always: 0x00, eq: 0x10, gt: 0x20, ge: 0x30, ne: 0x50, lt: 0xa0, le: 0xb0 } as const;
export type Alu = keyof typeof ALU;
export type Condition = Exclude<keyof typeof JUMP, 'always'>;
const REGISTER_OPERAND = 0x08;

/** Helper functions (enum bpf_func_id). */
export const HELPER = {
  map_lookup_elem: 1,
  skb_store_bytes: 9,
  l3_csum_replace: 10,
  l4_csum_replace: 11,
  clone_redirect: 13,
  skb_vlan_push: 18,
  skb_vlan_pop: 19,
  redirect: 23,
  skb_load_bytes: 26,
  ktime_get_coarse_ns: 160,
} as const;

const BPF_PSEUDO_MAP_FD = 1;
const INSTRUCTION = 8;

export class Assembler {
  readonly #code: number[] = [];
  readonly #labels = new Map<string, number>();
  readonly #jumps: { at: number; label: string }[] = [];

  /** The program; throws RangeError for a jump to nowhere. */
  assemble(): Uint8Array {
    const program = Uint8Array.from(this.#code);
    const fields = new DataView(program.buffer);
    for (const { at, label } of this.#jumps) {
      const target = this.#labels.get(label);
      if (target === undefined) throw new RangeError(`there is no label ${label}`);
      fields.setInt16(at * INSTRUCTION + 2, target - at - 1, true);
    }
    return program;
  }

  label(name: string): this {
    if (this.#labels.has(name)) throw new RangeError(`label ${name} is there twice`);
    this.#labels.set(name, this.#at);
    return this;
  }

  /** register = register (operation) number. */
  alu(operation: Alu, register: Register, value: number): this {
    return this.#put(0x07 | ALU[operation], register, 0, 0, value);
  }

  /** register = register (operation) other register. */
  aluRegister(operation: Alu, register: Register, other: Register): this {
    return this.#put(0x07 | ALU[operation] | REGISTER_OPERAND, register, other, 0, 0);
  }

  /** Network to host byte order, of the register's low `bits`. */
  swap(register: Register, bits: 16 | 32): this {
    return this.#put(0xdc, register, 0, 0, bits);
  }

  /** register = memory at base + offset. */
  load(width: Width, register: Register, base: Register, offset: number): this {
    return this.#put(0x61 | SIZE[width], register, base, offset, 0);
  }

  store(width: Width, base: Register, offset: number, register: Register): this {
    return this.#put(0x63 | SIZE[width], base, register, offset, 0);
  }

  storeNumber(width: Width, base: Register, offset: number, value: number): this {
    return this.#put(0x62 | SIZE[width], base, 0, offset, value);
  }

  /** Memory at base + offset += register, 64 bits, at once. */
  atomicAdd(base: Register, offset: number, register: Register): this {
    return this.#put(0xdb, base, register, offset, 0);
  }

  /** register = the map with this descriptor. */
  map(register: Register, fd: number): this {
    this.#put(0x18, register, BPF_PSEUDO_MAP_FD, 0, fd);
    return this.#put(0, 0, 0, 0, 0);
  }

  call(helper: keyof typeof HELPER): this {
    return this.#put(0x85, 0, 0, 0, HELPER[helper]);
  }

  jump(label: string): this {
    this.#jumps.push({ at: this.#at, label });
    return this.#put(0x05, 0, 0, 0, 0);
  }

  /** Goes on at the label if register (condition) number, unsigned. */
  jumpIf(condition: Condition, register: Register, value: number, label: string): this {
    this.#jumps.push({ at: this.#at, label });
    return this.#put(0x05 | JUMP[condition], register, 0, 0, value);
  }

  jumpIfRegister(condition: Condition, register: Register, other: Register, label: string): this {
    this.#jumps.push({ at: this.#at, label });
    return this.#put(0x05 | JUMP[condition] | REGISTER_OPERAND, register, other, 0, 0);
  }

  /** Ends the program with this result. */
  exit(result: number): this {
    return this.alu('mov', 0, result).exitWithResult();
  }

  exitWithResult(): this {
    return this.#put(0x95, 0, 0, 0, 0);
  }

  get #at(): number {
    return this.#code.length / INSTRUCTION;
  }

  #put(code: number, to: Register, from: number, offset: number, value: number): this {
    this.#code.push(code, to | (from << 4), offset & 0xff, (offset >> 8) & 0xff);
    this.#code.push(value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, (value >> 24) & 0xff);
    return this;
  }
}
