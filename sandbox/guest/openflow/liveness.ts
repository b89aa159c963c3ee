/** Which ports are live, as far as the agent has said: it tells of those that buckets watch (PORT_STATUS). */
import { type MessageOf, PortConfig, PortReason, PortState } from '../../../openflow/index.ts';

export class Liveness {
  /** Port numbers as signed 32-bit integers, which need no heap. */
  private readonly live = new Set<number>();

  portStatus({ reason, desc }: MessageOf<'port_status'>): void {
    const down = (desc.config & PortConfig.PORT_DOWN) !== 0 || (desc.state & PortState.LIVE) === 0;
    if (down || reason === PortReason.DELETE) this.live.delete(desc.port_no | 0);
    else this.live.add(desc.port_no | 0);
  }

  /** `port` as a signed integer. A port that nothing is known of is not live. */
  isLive(port: number): boolean {
    return this.live.has(port);
  }
}
