/** Parsers for option values. They throw commander's InvalidArgumentError, so that the option is named. */

import { InvalidArgumentError } from 'commander';
import { SPOKEN_VERSIONS } from '../../openflow/translate/index.ts';
import { versionName } from '../../openflow/version-name.ts';

/** A whole number from `low` to `high`. */
export function integer(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < low || value > high) {
      throw new InvalidArgumentError(`It must be a whole number from ${low} to ${high}.`);
    }
    return value;
  };
}

/** One of the given words. */
export function oneOf<const T extends string>(words: readonly T[]): (text: string) => T {
  return (text) => {
    const found = words.find((word) => word === text);
    if (found === undefined) throw new InvalidArgumentError(`It must be one of: ${words.join(', ')}.`);
    return found;
  };
}

/** Datapath id: decimal, `0x` hexadecimal, 16 hexadecimal digits, or eight pairs with colons. */
export function datapathId(text: string): bigint {
  const hex = text.includes(':') ? text.replaceAll(':', '') : text;
  let value: bigint;
  if (/^[0-9a-f]{16}$/i.test(hex)) value = BigInt(`0x${hex}`);
  else if (/^(\d{1,20}|0x[0-9a-f]{1,16})$/i.test(text)) value = BigInt(text);
  else {
    throw new InvalidArgumentError('It must be a number such as 1, 0x1, or 16 hexadecimal digits.');
  }
  if (value > 0xffffffffffffffffn) throw new InvalidArgumentError('It must fit 64 bits.');
  return value;
}

/** 16 hexadecimal digits, as in socket names and messages. */
export function datapathHex(id: bigint): string {
  return id.toString(16).padStart(16, '0');
}

export interface Address {
  host: string;
  port: number;
}

/** OpenFlow's registered TCP port. */
export const OPENFLOW_PORT = 6653;

/** `host`, `host:port`, `[v6]:port`, or a bare IPv6 address; OpenFlow's port when none is named. */
export function address(text: string): Address {
  const bracketed = /^\[([^\]]+)\](?::(\d+))?$/.exec(text);
  const plain = /^([^:\s]+)(?::(\d+))?$/.exec(text);
  const bareV6 = /^[0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.]*$/i.test(text);
  const match = bracketed ?? plain;
  if (match === null && !bareV6) throw new InvalidArgumentError('It must be HOST or HOST:PORT.');
  if (match === null) return { host: text, port: OPENFLOW_PORT };
  const port = match[2] === undefined ? OPENFLOW_PORT : Number(match[2]);
  if (port < 1 || port > 65535) throw new InvalidArgumentError('The port must be from 1 to 65535.');
  return { host: match[1], port };
}

/** A switch port: an interface's name (at most 15 bytes), with or without its OpenFlow port number. */
export function portSpec(text: string): string {
  const match = /^([^=\s/]{1,15})(?:=(\d+))?$/.exec(text);
  if (match === null) throw new InvalidArgumentError("It must be an interface's name, or NAME=NUMBER.");
  // OpenFlow keeps the numbers above 0xffffff00 for itself, and 0 is no port.
  if (match[2] !== undefined && (Number(match[2]) < 1 || Number(match[2]) > 0xffffff00)) {
    throw new InvalidArgumentError('The port number must be from 1 to 4294967040.');
  }
  return text;
}

/** Versions of OpenFlow as Open vSwitch names them, with commas between: their wire numbers. */
export function protocols(text: string): number[] {
  const names = SPOKEN_VERSIONS.map((version) => protocolName(version));
  return text.split(',').map((name) => {
    const at = names.findIndex((known) => known.toLowerCase() === name.trim().toLowerCase());
    if (at < 0) throw new InvalidArgumentError(`It must be a list of: ${names.join(', ')}.`);
    return SPOKEN_VERSIONS[at];
  });
}

/** `OpenFlow13` for wire version 4. */
function protocolName(version: number): string {
  return `OpenFlow${versionName(version)?.replace('.', '')}`;
}

/** An interface's name (at most 15 bytes). */
export function interfaceName(text: string): string {
  if (!/^[^=\s/:]{1,15}$/.test(text)) throw new InvalidArgumentError("It must be an interface's name.");
  return text;
}

export interface Queue {
  port: string;
  id: number;
  /** Bits per second. */
  min?: number;
  max?: number;
}

const RATE_UNITS: Record<string, number> = { '': 1, k: 1e3, m: 1e6, g: 1e9 };

/** `PORT:ID[:min=RATE][:max=RATE]`; rates as tc takes them: bits per second, or with kbit, mbit, gbit (bit may be left out). */
export function queueSpec(text: string): Queue {
  const [port = '', id = '', ...limits] = text.split(':');
  if (!/^[^=\s/]{1,15}$/.test(port) || !/^\d{1,5}$/.test(id)) {
    throw new InvalidArgumentError('It must be PORT:ID, then :min=RATE, :max=RATE or both.');
  }
  const queue: Queue = { port, id: Number(id) };
  for (const limit of limits) {
    const match = /^(min|max)=(\d+(?:\.\d+)?)([kmg]?)(?:bit)?$/i.exec(limit);
    if (match === null) {
      throw new InvalidArgumentError(`'${limit}' must be min=RATE or max=RATE, such as max=10mbit.`);
    }
    const [, which, number, unit] = match;
    queue[which.toLowerCase() as 'min' | 'max'] = Math.round(Number(number) * RATE_UNITS[unit.toLowerCase()]);
  }
  return queue;
}

/** For options that may be given several times. */
export function collect<T>(parse: (text: string) => T): (text: string, previous: T[] | undefined) => T[] {
  return (text, previous) => [...(previous ?? []), parse(text)];
}

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;
