/** Puts the flow cache's programs at a port: tcx where the kernel has it (6.6), a filter of a clsact qdisc elsewhere. */
import { closeFd } from '../../sandbox/sys/libc.ts';
import { type Rtnetlink, TCMSG } from '../ports/rtnetlink.ts';
import { errno, int32, PortError, SOL_SOCKET, sys } from '../ports/socket.ts';
import { attachTcx } from './bpf.ts';
import { BpfError } from './bpf-error.ts';

const SO_DETACH_FILTER = 27;
const SO_ATTACH_BPF = 50;

const RTM_NEWQDISC = 36;
const RTM_DELQDISC = 37;
const RTM_NEWTFILTER = 44;
const RTM_DELTFILTER = 45;
const NLM_F_EXCL = 0x200;
const NLM_F_CREATE = 0x400;
const CLSACT_HANDLE = 0xffff0000;
const CLSACT_PARENT = 0xfffffff1;
const INGRESS_PARENT = 0xfffffff2;
/** Late among the filters there may be. */
const PRIORITY = 0xf10c;
const ETH_P_ALL = 0x0300;
const FILTER_HANDLE = 1;
const TCA_KIND = 1;
const TCA_OPTIONS = 2;
const TCA_BPF_FD = 6;
const TCA_BPF_NAME = 7;
const TCA_BPF_FLAGS = 8;
const TCA_BPF_FLAG_ACT_DIRECT = 1;

/** A tc program at an interface's ingress. */
export interface Attachment {
  detach(): void;
}

/** Throws BpfError or PortError where neither way works. `clsact`: even if there is tcx. */
export const attachIngress = (
  rtnetlink: Rtnetlink,
  program: number,
  ifindex: number,
  clsact = false,
): Attachment => {
  if (!clsact) {
    try {
      const link = attachTcx(program, ifindex);
      return { detach: () => closeFd(link) };
    } catch (error) {
      // A kernel without tcx knows no such attachment.
      if (!(error instanceof BpfError) || error.code !== 'EINVAL') throw error;
    }
  }
  return attachClsact(rtnetlink, program, ifindex);
};

const attachClsact = (rtnetlink: Rtnetlink, program: number, ifindex: number): Attachment => {
  const isOurs = makeQdisc(rtnetlink, ifindex);
  const filter = (type: number, flags: number, attributes: Uint8Array) =>
    rtnetlink.change(type, flags, tcMessage(ifindex, FILTER_HANDLE, INGRESS_PARENT, attributes, FILTER_INFO));
  const options = nested(
    attribute(TCA_BPF_FD, int32(program)),
    attribute(TCA_BPF_NAME, text('flowcell')),
    attribute(TCA_BPF_FLAGS, int32(TCA_BPF_FLAG_ACT_DIRECT)),
  );
  const attributes = nested(attribute(TCA_KIND, text('bpf')), attribute(TCA_OPTIONS, options));
  filter(RTM_NEWTFILTER, NLM_F_CREATE, attributes);
  return {
    detach() {
      // With an interface that is gone they went too.
      attempt(() => filter(RTM_DELTFILTER, 0, attribute(TCA_KIND, text('bpf'))));
      if (isOurs) attempt(() => rtnetlink.change(RTM_DELQDISC, 0, qdiscMessage(ifindex)));
    },
  };
};

/** False: there is one already. */
const makeQdisc = (rtnetlink: Rtnetlink, ifindex: number): boolean => {
  try {
    rtnetlink.change(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, qdiscMessage(ifindex));
    return true;
  } catch (error) {
    if (error instanceof PortError && error.message.includes('EEXIST')) return false;
    throw error;
  }
};

const attempt = (action: () => void): void => {
  try {
    action();
  } catch (error) {
    if (!(error instanceof PortError)) throw error;
  }
};

const FILTER_INFO = ((PRIORITY << 16) | ETH_P_ALL) >>> 0;

const qdiscMessage = (ifindex: number): DataView =>
  tcMessage(ifindex, CLSACT_HANDLE, CLSACT_PARENT, attribute(TCA_KIND, text('clsact')));

const tcMessage = (
  ifindex: number,
  handle: number,
  parent: number,
  attributes: Uint8Array,
  info = 0,
): DataView => {
  const bytes = new Uint8Array(TCMSG + attributes.length);
  const fields = new DataView(bytes.buffer);
  fields.setInt32(4, ifindex, true);
  fields.setUint32(8, handle, true);
  fields.setUint32(12, parent, true);
  fields.setUint32(16, info, true);
  bytes.set(attributes, TCMSG);
  return fields;
};

const text = (value: string): Uint8Array => new TextEncoder().encode(`${value}\0`);

/** struct rtattr: length u16, type u16, value; padded to four bytes. */
const attribute = (type: number, value: Uint8Array): Uint8Array => {
  const bytes = new Uint8Array((value.length + 7) & ~3);
  const fields = new DataView(bytes.buffer);
  fields.setUint16(0, value.length + 4, true);
  fields.setUint16(2, type, true);
  bytes.set(value, 4);
  return bytes;
};

const nested = (...attributes: Uint8Array[]): Uint8Array => Buffer.concat(attributes);

/** Keeps from a packet socket what the tc program will forward. Throws PortError. */
export const attachFilter = (fd: number, program: number): void => {
  if (sys.setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, int32(program), 4) === 0) return;
  throw new PortError('FC_FAST_PATH', `attaching a socket filter failed (errno ${errno()})`);
};

/** From now on the socket gets everything. */
export const detachFilter = (fd: number): void => {
  sys.setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, int32(0), 4);
};
