/**
 * The test kit, `flowcell/testing`: networks of switches and hosts inside a test's own process, without privileges or
 * sockets, and in time that the test moves. docs/testing.md shows how to test an app.
 *
 * Switches are the agent's own core with the cells' own programs; apps run in the real controller; between them goes
 * real OpenFlow. Only what is around them is made for the test: ports, links, hosts, time, the walls of cells.
 *
 * A room of its own above agent and controller, because it is where both come together: neither may import the other.
 * Nothing imports it but tests. The matchers for vitest are apart (`flowcell/testing/vitest`).
 */
export { type DatapathInit, type DatapathOptions, FakeDatapath } from './datapath.ts';
export {
  describeActions,
  describeFrame,
  describeInstructions,
  describeMatch,
  describeMessage,
} from './describe.ts';
export { FakeController, FakeControllerServer, SwitchError } from './fake-controller.ts';
export { type Datagram, type Heard, type IpVersion, VirtualHost, type VirtualHostOptions } from './host.ts';
export { VirtualLink } from './link.ts';
export { type NetworkOptions, PingOutcome, VirtualNetwork, type VirtualSwitchOptions } from './network.ts';
export { type EntryPattern, Outcome, TestPacket } from './packet.ts';
export type { QueueOptions } from './port.ts';
export type { InstalledEntry, MatchedEntry, Step } from './steps.ts';
export { VirtualTime } from './time.ts';
export { linear, single } from './topologies.ts';
export { Trace, type TraceEvent } from './trace.ts';
