/** os-ken's JSON form of messages and structures, {"OFPSomething": {...}}, as objects of our codecs. */

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

export class PatternError extends Error {
  readonly code = 'FC_CONFORMANCE_PATTERN';

  constructor(message: string) {
    super(message);
    this.name = 'PatternError';
  }
}

/** Ports by the names that os-ken's patterns may use: ours are fixed. */
const PORTS: Readonly<Record<string, number>> = {
  target_recv_port: 1,
  target_send_port_1: 2,
  target_send_port_2: 3,
};

export const fail = (message: string): never => {
  throw new PatternError(message);
};
export const object = (value: Json): JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? value
    : fail(`${value} is no object`);
export const list = (value: Json): Json[] => (Array.isArray(value) ? value : fail(`${value} is no list`));
export const number = (value: Json): number =>
  typeof value === 'number' ? value : fail(`${value} is no number`);
export const text = (value: Json): string =>
  typeof value === 'string' ? value : fail(`${value} is no text`);
export const big = (value: Json): bigint => BigInt(number(value));
export const port = (value: Json): number =>
  typeof value === 'string' ? (PORTS[value] ?? fail(`there is no port '${value}'`)) : number(value);

/** The one entry of {"OFPSomething": {...}}. */
function only(value: Json): [name: string, body: JsonObject] {
  const entries = Object.entries(object(value));
  if (entries.length !== 1) fail(`expected one entry, found ${entries.map(([name]) => name).join(', ')}`);
  return [entries[0][0], object(entries[0][1])];
}

/** How a structure is translated: its type in our codec, and by JSON key what its value becomes under which name. */
export interface Structure {
  readonly type?: string;
  readonly defaults?: Readonly<Record<string, unknown>>;
  readonly fields: Readonly<Record<string, (value: Json) => unknown>>;
  readonly rename?: Readonly<Record<string, string>>;
}

export type Structures = Readonly<Record<string, Structure>>;

export function translate(structures: Structures, value: Json): Record<string, unknown> {
  const [name, body] = only(value);
  const structure = structures[name] ?? fail(`there is no translation for ${name}`);
  const result: Record<string, unknown> = { ...structure.defaults };
  if (structure.type !== undefined) result.type = structure.type;
  for (const [key, field] of Object.entries(body)) {
    const convert = structure.fields[key] ?? fail(`there is no translation for ${key} of ${name}`);
    result[structure.rename?.[key] ?? key] = convert(field);
  }
  return result;
}
