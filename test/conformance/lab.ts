/** The test bed: a target switch, three links to the tester, and the tester as its controller. */
import { type Network, singleSwitch } from '../../mininet/topology.ts';
import { PollLoop } from '../../sandbox/sys/loop.ts';
import { FakeController, type Peer } from '../support/agent-lab.ts';
import type { AnyInit, AnyMessage, Protocol } from './protocol.ts';
import { TARGETS, type Target } from './target.ts';
import { TesterPort } from './tester-port.ts';

type AnyPeer = Peer<AnyMessage, AnyInit>;

/** A port's number is its index plus 1. */
const PORT_COUNT = 3;

export class Lab {
  readonly #net: Network<'s1', string>;
  readonly #controller: FakeController;
  readonly #start: (port: number) => Promise<Target>;
  readonly protocol: Protocol;
  readonly loop = new PollLoop();
  readonly ports: readonly TesterPort[];
  #target: Target | undefined;
  #peer: AnyPeer | undefined;
  /** What to do with frames while a check waits for them. */
  onFrame: ((port: number, frame: Uint8Array) => void) | undefined;
  /** How often the target had to be started. */
  starts = 0;

  static async open(target: string, protocol: Protocol): Promise<Lab> {
    const net = await singleSwitch(PORT_COUNT);
    try {
      return new Lab(net, await FakeController.start(net.switches.s1), target, protocol);
    } catch (error) {
      await net.close();
      throw error;
    }
  }

  private constructor(
    net: Network<'s1', string>,
    controller: FakeController,
    target: string,
    protocol: Protocol,
  ) {
    this.protocol = protocol;
    this.#net = net;
    this.#controller = controller;
    this.#start = (port) => TARGETS[target].start(net.switches.s1, port, protocol);
    this.ports = Object.values(net.hosts).map(
      (host, index) => new TesterPort(index + 1, host.namespace, host.interface),
    );
    for (const port of this.ports) {
      this.loop.watch(port.fd, () => port.receive((frame) => this.onFrame?.(port.number, frame)));
    }
    this.loop.start();
  }

  /** The target's connection; a target that has hung up is started anew. */
  async connection(): Promise<{ peer: AnyPeer; target: Target }> {
    if (this.#peer?.open && this.#target !== undefined) return { peer: this.#peer, target: this.#target };
    this.starts++;
    await this.#target?.stop();
    // It may have come back by itself meanwhile.
    await this.#controller.idle();
    this.#target = await this.#start(this.#controller.port);
    // All three versions' messages are one union to the runner.
    this.#peer = (await this.#controller.directDevice(this.protocol.version)) as unknown as AnyPeer;
    return { peer: this.#peer, target: this.#target };
  }

  /** Makes the next `connection()` start the target anew: its answer to something never came. */
  hangUp(): void {
    this.#peer?.socket.destroy();
    this.#peer = undefined;
  }

  async close(): Promise<void> {
    this.loop.stop();
    for (const port of this.ports) port.close();
    await this.#target?.stop();
    await this.#controller.close();
    await this.#net.close();
  }
}
