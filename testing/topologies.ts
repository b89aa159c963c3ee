/** Common shapes of networks, to be given to `VirtualNetwork.create` or, for namespaces, to `topology`. */
import type { TopologySpec } from '../mininet/topology.ts';

const numbered = (letter: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${letter}${index + 1}`);

const named = <V>(names: readonly string[], value: V): Record<string, V> =>
  Object.fromEntries(names.map((name) => [name, value]));

/** One switch `s1` with hosts `h1` ... at its ports 1 ... */
export const single = (hosts: number): TopologySpec<string, string> => {
  const names = numbered('h', hosts);
  return { switches: { s1: {} }, hosts: named(names, {}), links: names.map((name) => [name, 's1']) };
};

/** Switches `s1` ... in a row, each with a host at its port 1: `h1` at `s1` and so on. */
export const linear = (switches: number): TopologySpec<string, string> => {
  const names = numbered('s', switches);
  const hosts = numbered('h', switches);
  const toHosts = names.map((name, index) => [hosts[index], name] as const);
  const between = names.slice(1).map((name, index) => [names[index], name] as const);
  return { switches: named(names, {}), hosts: named(hosts, {}), links: [...toHosts, ...between] };
};
