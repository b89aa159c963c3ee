/**
 * What the packets that actions meet are known to be: by the match, and by the actions before. An action that
 * cannot apply is refused when the entry comes (OpenFlow 1.3, section 7.2.5: OFPBAC_MATCH_INCONSISTENT).
 */
import { BadActionCode, ErrorType, type Match, OpenFlowError } from '../../../openflow/index.ts';
import { ETH_TYPE, type Field, isVlanType, OFPVID_PRESENT } from '../../../packet/index.ts';

const IP: number[] = [ETH_TYPE.IPV4, ETH_TYPE.IPV6];
const MPLS: number[] = [ETH_TYPE.MPLS, ETH_TYPE.MPLS_MULTICAST];
const PBB: number[] = [ETH_TYPE.PBB];

/** Ethernet types of which a packet must have one for the action to do anything. */
const APPLIES_TO: Readonly<Record<string, readonly number[]>> = {
  set_nw_ttl: IP,
  dec_nw_ttl: IP,
  set_mpls_ttl: MPLS,
  dec_mpls_ttl: MPLS,
  pop_mpls: MPLS,
  pop_pbb: PBB,
  copy_ttl_in: [...IP, ...MPLS],
  copy_ttl_out: [...IP, ...MPLS],
};

export class Known {
  /** Fields with one value in all these packets, by name. */
  private fields: Readonly<Record<string, unknown>>;
  /** VLAN tag behind the Ethernet header; undefined: some have one, some not. */
  private tagged: boolean | undefined;
  private readonly checks: boolean;

  /** Without a match (a PACKET_OUT) nothing is known and nothing refused. */
  constructor(match: Match | undefined) {
    this.fields = (match ?? {}) as Record<string, unknown>;
    this.tagged = taggedBy(this.fields);
    this.checks = match !== undefined;
  }

  /** Throws OpenFlowError if no such packet is one that the action applies to. */
  checkAction(type: string): void {
    const types = APPLIES_TO[type];
    const known = this.fields.eth_type as number | undefined;
    if (type === 'pop_vlan' && this.tagged === false) this.refuse('pop_vlan: there is no VLAN tag');
    if (types !== undefined && known !== undefined && !types.includes(known)) {
      this.refuse(`${type} does not apply to packets of Ethernet type 0x${known.toString(16)}`);
    }
  }

  /** Throws OpenFlowError if the packets are not known to have the field's prerequisite. */
  checkField(field: Field): void {
    const { name, prerequisites } = field;
    const holds =
      name === 'vlan_vid'
        ? this.tagged !== false
        : name === 'vlan_pcp'
          ? this.tagged === true
          : prerequisites.length === 0 || prerequisites.some((one) => this.fields[one.field] === one.value);
    if (!holds) this.refuse(`set_field ${name}: the match does not say packets have it`);
  }

  set(name: string, value: unknown): void {
    // What stands behind is another then.
    if (name === 'eth_type') this.fields = { eth_type: value };
    else if (name === 'ip_proto') this.fields = { eth_type: this.fields.eth_type, ip_proto: value };
    else this.fields = { ...this.fields, [name]: value };
  }

  pushedVlan(): void {
    this.tagged = true;
  }

  poppedVlan(): void {
    this.tagged = undefined;
  }

  /** MPLS or PBB: in front of VLAN tags. */
  pushed(ethType: number): void {
    this.fields = { eth_type: ethType };
    this.tagged = false;
  }

  /** MPLS, from behind VLAN tags if there are some in front of it. */
  poppedMpls(ethType: number): void {
    const isTag = isVlanType(ethType);
    this.fields = isTag ? {} : { eth_type: ethType };
    if (isTag) this.tagged = true;
  }

  /** The customer's frame may be anything; a backbone VLAN tag stays. */
  poppedPbb(): void {
    this.fields = {};
    if (this.tagged === false) this.tagged = undefined;
  }

  private refuse(text: string): void {
    if (this.checks) throw new OpenFlowError(ErrorType.BAD_ACTION, BadActionCode.MATCH_INCONSISTENT, text);
  }
}

function taggedBy(fields: Readonly<Record<string, unknown>>): boolean | undefined {
  const given = fields.vlan_vid;
  if (given === undefined) return undefined;
  const [vid, mask] = Array.isArray(given) ? given : [given, 0xffff];
  if ((Number(mask) & OFPVID_PRESENT) === 0) return undefined;
  return (Number(vid) & OFPVID_PRESENT) !== 0;
}
