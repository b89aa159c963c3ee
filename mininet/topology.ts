/**
 * Small networks on one machine: every host and every switch is a network namespace, links are veth pairs.
 * What Mininet makes, in TypeScript: for the demo, the tests and the benchmarks.
 *
 * ```ts
 * const net = await topology({
 *   switches: { s1: {} },
 *   hosts: { h1: {}, h2: {} },
 *   links: [['h1', 's1'], ['h2', 's1']],
 * });
 * await net.hosts.h1.exec(['ping', '-c1', net.hosts.h2.ip]);
 * await net.close();
 * ```
 *
 * Needs root, or root in a user namespace (userns.ts), and iproute2 and util-linux. When the process that
 * made a network ends, however it ends, its namespaces and the processes in them end too (owner.ts).
 */

import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { NETNS_DIR, ownerPrefix, Reaper, sweep } from './owner.ts';
import { CommandError, type ExecOptions, type ExecResult, ended, exec, stop } from './run.ts';

export interface HostOptions {
  /** IPv4 address with prefix length; default `10.0.0.<n>/24` for the n-th host. */
  ip?: string;
  /** MAC address; default `02:00:00:00:00:<n>`. */
  mac?: string;
}

/** Nothing to say of a switch yet but that it is there. */
export type SwitchOptions = Record<string, never>;

export interface TopologySpec<S extends string, H extends string> {
  switches: Record<S, SwitchOptions>;
  hosts: Record<H, HostOptions>;
  /** Pairs of names. A host takes one link; a switch numbers its ports in the order of the links, from 1. */
  links: readonly (readonly [NoInfer<S | H>, NoInfer<S | H>])[];
  /** Leave IPv6 on (default: off, so that nothing is sent that nobody asked for). */
  ipv6?: boolean;
  /** Every host knows every other host's MAC address from the start (no ARP). */
  staticArp?: boolean;
}

/** A namespace with its interfaces. */
export class NetNode {
  readonly name: string;
  /** Name of the network namespace, as `ip netns` shows it. */
  readonly namespace: string;
  /** Interface names in the order of the links, e.g. `s1-eth1`. */
  readonly interfaces: string[] = [];
  readonly #children = new Set<ChildProcess>();

  constructor(name: string, namespace: string) {
    this.name = name;
    this.namespace = namespace;
  }

  /** The argument vector that runs `argv` in this namespace. */
  command(argv: readonly string[]): string[] {
    return ['nsenter', `--net=${NETNS_DIR}/${this.namespace}`, '--', ...argv];
  }

  /** Runs a program here to its end. Rejects with CommandError if it fails (see ExecOptions.anyExit). */
  async exec(argv: readonly string[], options?: ExecOptions): Promise<ExecResult> {
    return await exec(this.command(argv), options);
  }

  /** Starts a program here; it is ended with the network. Its process id is the program's own. */
  spawn(argv: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const [file, ...rest] = this.command(argv);
    const child = spawn(file, rest, options);
    this.#children.add(child);
    const forget = () => this.#children.delete(child);
    child.once('exit', forget);
    child.once('error', forget);
    return child;
  }

  /** Ends everything that `spawn` started here. */
  async stopAll(): Promise<void> {
    await Promise.all([...this.#children].map((child) => stop(child)));
  }

  /** Runs `ip` commands here in one go, a line each. */
  async configure(lines: readonly string[]): Promise<void> {
    await exec(['ip', '-n', this.namespace, '-batch', '-'], { input: `${lines.join('\n')}\n` });
  }
}

export class Host extends NetNode {
  /** IPv4 address without the prefix length. */
  readonly ip: string;
  readonly prefixLength: number;
  readonly mac: string;

  constructor(name: string, namespace: string, address: string, mac: string) {
    super(name, namespace);
    const [ip, prefixLength] = address.split('/');
    this.ip = ip;
    this.prefixLength = Number(prefixLength ?? 24);
    this.mac = mac;
  }

  /** The host's one interface. */
  get interface(): string {
    return this.interfaces[0];
  }
}

export class Switch extends NetNode {
  /** Interfaces by port number less one: the n-th link of the switch is its port n. */
  get ports(): readonly string[] {
    return this.interfaces;
  }
}

export interface LinkEnd {
  readonly node: NetNode;
  readonly interface: string;
}

export class Link {
  readonly a: LinkEnd;
  readonly b: LinkEnd;
  readonly #down = new Set<'a' | 'b'>();

  constructor(a: LinkEnd, b: LinkEnd) {
    this.a = a;
    this.b = b;
  }

  /** Pulls the cable: end `a` is set down, end `b` stays up and loses its carrier. */
  async down(end: 'a' | 'b' = 'a'): Promise<void> {
    await this.#set(end, 'down');
  }

  /** Plugs it in again; resolves when both ends have their carrier, unless the other end is still down. */
  async up(end: 'a' | 'b' = 'a'): Promise<void> {
    await this.#set(end, 'up');
    if (this.#down.size > 0) return;
    await Promise.all([this.a, this.b].map(({ node, interface: name }) => carrier(node, [name])));
  }

  async #set(end: 'a' | 'b', state: 'up' | 'down'): Promise<void> {
    await this[end].node.configure([`link set dev ${this[end].interface} ${state}`]);
    if (state === 'down') this.#down.add(end);
    else this.#down.delete(end);
  }
}

export class Network<S extends string = string, H extends string = string> {
  readonly switches: Readonly<Record<S, Switch>>;
  readonly hosts: Readonly<Record<H, Host>>;
  readonly links: readonly Link[];
  readonly #reaper: Reaper;
  #closing: Promise<void> | undefined;

  constructor(switches: Record<S, Switch>, hosts: Record<H, Host>, links: readonly Link[], reaper: Reaper) {
    this.switches = switches;
    this.hosts = hosts;
    this.links = links;
    this.#reaper = reaper;
  }

  /** All hosts and switches. */
  get nodes(): NetNode[] {
    return [...Object.values<Host>(this.hosts), ...Object.values<Switch>(this.switches)];
  }

  /** The link between two nodes. */
  link(a: S | H, b: S | H): Link {
    const found = this.links.find(
      (l) => (l.a.node.name === a && l.b.node.name === b) || (l.a.node.name === b && l.b.node.name === a),
    );
    if (found === undefined) throw new TopologyError(`There is no link between ${a} and ${b}.`);
    return found;
  }

  /** Ends every process in the network and removes it. May be called more than once. */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      // Hosts first: a switch that goes while its hosts still talk only makes noise in their output.
      await Promise.all(Object.values<Host>(this.hosts).map((host) => host.stopAll()));
      await Promise.all(Object.values<Switch>(this.switches).map((node) => node.stopAll()));
      await this.#reaper.reap();
    })();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** A network that cannot be made as described. */
export class TopologyError extends Error {
  readonly code = 'FC_TOPOLOGY';

  constructor(message: string) {
    super(message);
    this.name = 'TopologyError';
  }
}

/** The longest name of a network interface (IFNAMSIZ less the final zero byte). */
const INTERFACE_NAME_MAX = 15;

function checkNames(names: readonly string[]): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (!/^[A-Za-z][A-Za-z0-9_]*$/.test(name)) {
      throw new TopologyError(`'${name}' cannot name a node: use letters, digits and _, a letter first.`);
    }
    if (seen.has(name)) throw new TopologyError(`Two nodes are called '${name}'.`);
    seen.add(name);
  }
}

/** What a topology comes to, before anything is made of it. */
export interface Plan<S extends string, H extends string> {
  switches: Record<S, Switch>;
  hosts: Record<H, Host>;
  links: Link[];
}

/** Names every namespace, interface and address of a topology. Throws TopologyError. */
export function plan<S extends string, H extends string>(
  spec: TopologySpec<S, H>,
  prefix: string,
): Plan<S, H> {
  const switchNames = Object.keys(spec.switches) as S[];
  const hostEntries = Object.entries(spec.hosts) as [H, HostOptions][];
  checkNames([...switchNames, ...hostEntries.map(([name]) => name)]);
  if (hostEntries.length > 65534) throw new TopologyError('A topology has at most 65,534 hosts.');
  const wide = hostEntries.length > 254;
  const hosts = {} as Record<H, Host>;
  hostEntries.forEach(([name, options], index) => {
    const number = index + 1;
    const hex = number.toString(16).padStart(4, '0');
    const ip = options.ip ?? `10.0.${number >> 8}.${number & 255}/${wide ? 16 : 24}`;
    const mac = options.mac ?? `02:00:00:00:${hex.slice(0, 2)}:${hex.slice(2)}`;
    hosts[name] = new Host(name, prefix + name, ip, mac);
  });
  const switches = {} as Record<S, Switch>;
  for (const name of switchNames) switches[name] = new Switch(name, prefix + name);

  const byName = new Map<string, NetNode>([
    ...Object.entries<Host>(hosts),
    ...Object.entries<Switch>(switches),
  ]);
  const addEnd = (name: string): LinkEnd => {
    const node = byName.get(name);
    if (node === undefined)
      throw new TopologyError(`A link names '${name}', which is no host and no switch.`);
    if (node instanceof Host && node.interfaces.length > 0) {
      throw new TopologyError(`The host '${name}' has more than one link.`);
    }
    // As in Mininet: a host's interfaces count from 0, a switch's from 1, its port number.
    const number = node instanceof Host ? 0 : node.interfaces.length + 1;
    const interfaceName = `${name}-eth${number}`;
    if (interfaceName.length > INTERFACE_NAME_MAX) {
      throw new TopologyError(
        `'${interfaceName}' is longer than an interface's name may be; shorten '${name}'.`,
      );
    }
    node.interfaces.push(interfaceName);
    return { node, interface: interfaceName };
  };
  const links = spec.links.map(([a, b]) => new Link(addEnd(a), addEnd(b)));
  return { switches, hosts, links };
}

/** Commands that every node runs inside its namespace: loopback and interfaces up, addresses, neighbours. */
function nodeCommands(node: NetNode, hosts: readonly Host[], staticArp: boolean): string[] {
  const lines = ['link set dev lo up'];
  if (node instanceof Host && node.interface !== undefined) {
    lines.push(`addr add ${node.ip}/${node.prefixLength} dev ${node.interface}`);
  }
  for (const name of node.interfaces) lines.push(`link set dev ${name} up`);
  if (staticArp && node instanceof Host && node.interface !== undefined) {
    for (const other of hosts) {
      if (other === node) continue;
      lines.push(`neigh replace ${other.ip} lladdr ${other.mac} dev ${node.interface} nud permanent`);
    }
  }
  return lines;
}

/** IPv6 off for interfaces there are and interfaces to come, where the kernel has IPv6 at all. */
const IPV6_OFF =
  'cd /proc/sys/net/ipv6/conf 2>/dev/null && echo 1 > all/disable_ipv6 && echo 1 > default/disable_ipv6';

/**
 * Waits until interfaces of the node (all, unless named) have their carrier. Reading `carrier` from sysfs also makes the kernel
 * bring the operational state up to date, which it otherwise does about a second later (an OpenFlow switch
 * would report its links down for so long). `ip netns exec` shows the namespace's own sysfs, nsenter does not.
 */
async function carrier(node: NetNode, interfaces = node.interfaces): Promise<void> {
  if (interfaces.length === 0) return;
  const files = interfaces.map((name) => `/sys/class/net/${name}/carrier`);
  const give = performance.now() + CARRIER_TIMEOUT_MS;
  for (;;) {
    const { stdout } = await exec(['ip', 'netns', 'exec', node.namespace, 'cat', ...files]);
    const carriers = stdout.trim().split('\n');
    const waiting = interfaces.filter((_, index) => carriers[index] !== '1');
    if (waiting.length === 0) return;
    if (performance.now() > give) {
      throw new TopologyError(`The link of ${waiting[0]} did not come up in ${CARRIER_TIMEOUT_MS} ms.`);
    }
  }
}

/** How long the kernel may take to bring all links up. */
const CARRIER_TIMEOUT_MS = 30_000;

function hint(error: unknown): unknown {
  if (error instanceof CommandError && /not permitted|Permission denied/i.test(error.message)) {
    return new TopologyError(
      `Making network namespaces needs root (or 'unshare --user --map-root-user --net --mount'): ${error.message}`,
    );
  }
  return error;
}

/** Makes the network. Removes leftovers of dead owners first. Throws TopologyError or CommandError. */
export async function topology<const S extends string, const H extends string>(
  spec: TopologySpec<S, H>,
): Promise<Network<S, H>> {
  const { switches, hosts, links } = plan(spec, ownerPrefix());
  await sweep();
  const hostList = Object.values<Host>(hosts);
  const nodes: NetNode[] = [...hostList, ...Object.values<Switch>(switches)];
  const reaper = new Reaper(nodes.map((node) => node.namespace));
  const network = new Network(switches, hosts, links, reaper);

  const end = ({ node, interface: name }: LinkEnd) => {
    const address = node instanceof Host ? ` address ${node.mac}` : '';
    return `name ${name}${address} netns ${node.namespace}`;
  };
  const make = [
    ...nodes.map((node) => `netns add ${node.namespace}`),
    ...links.map((link) => `link add ${end(link.a)} type veth peer ${end(link.b)}`),
  ];
  try {
    await exec(['ip', '-batch', '-'], { input: `${make.join('\n')}\n` });
    await Promise.all(
      nodes.map(async (node) => {
        // Before any interface comes up, so that not one router solicitation is sent.
        if (spec.ipv6 !== true) await node.exec(['sh', '-c', `${IPV6_OFF}; true`]);
        await node.configure(nodeCommands(node, hostList, spec.staticArp === true));
      }),
    );
    await Promise.all(nodes.map((node) => carrier(node)));
  } catch (error) {
    await network.close();
    throw hint(error);
  }
  return network;
}

/** One switch `s1` with hosts `h1` .. `h<count>` on its ports 1 .. count. */
export async function singleSwitch(
  count: number,
  options: Pick<TopologySpec<string, string>, 'ipv6' | 'staticArp'> = {},
): Promise<Network<'s1', string>> {
  const names = Array.from({ length: count }, (_, index) => `h${index + 1}`);
  return await topology<'s1', string>({
    switches: { s1: {} },
    hosts: Object.fromEntries(names.map((name) => [name, {}])),
    links: names.map((name) => [name, 's1'] as const),
    ...options,
  });
}

export { ended, exec, stop, sweep };
