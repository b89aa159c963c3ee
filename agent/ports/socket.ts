/**
 * System calls of AF_PACKET and rtnetlink sockets, through koffi, with the numbers of Linux's UAPI headers.
 * Addresses are plain numbers (user addresses have 47 bits), which koffi takes without making a BigInt.
 */
import koffi from 'koffi';

export { VNET_HDR_BYTES } from './frames.ts';
export { PortError } from './port-error.ts';

const libc = koffi.load('libc.so.6');

export const sys = {
  socket: libc.func('int socket(int domain, int type, int protocol)'),
  bind: libc.func('int bind(int fd, const uint8_t *address, uint32_t length)'),
  setsockopt: libc.func('int setsockopt(int fd, int level, int name, const uint8_t *value, uint32_t length)'),
  getsockopt: libc.func(
    'int getsockopt(int fd, int level, int name, _Out_ uint8_t *value, _Inout_ uint32_t *length)',
  ),
  send: libc.func('intptr_t send(int fd, const uint8_t *buffer, size_t length, int flags)'),
  recv: libc.func('intptr_t recv(int fd, _Out_ uint8_t *buffer, size_t length, int flags)'),
  recvmmsg: libc.func(
    'int recvmmsg(int fd, uintptr_t messages, uint32_t count, int flags, uintptr_t timeout)',
  ),
  ioctl: libc.func('int ioctl(int fd, unsigned long request, uintptr_t argument)'),
  read: libc.func('intptr_t read(int fd, uintptr_t buffer, size_t length)'),
  writev: libc.func('intptr_t writev(int fd, uintptr_t parts, int count)'),
  sendmmsg: libc.func('int sendmmsg(int fd, uintptr_t messages, uint32_t count, int flags)'),
};

export const AF_NETLINK = 16;
export const AF_PACKET = 17;
export const SOCK_RAW = 3;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const ETH_P_ALL = 3;
export const MSG_DONTWAIT = 0x40;
export const MSG_TRUNC = 0x20;

export const SOL_SOCKET = 1;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_PRIORITY = 12;
export const SO_SNDBUFFORCE = 32;
export const SO_RCVBUFFORCE = 33;

export const SOL_PACKET = 263;
export const PACKET_ADD_MEMBERSHIP = 1;
export const PACKET_RX_RING = 5;
export const PACKET_STATISTICS = 6;
export const PACKET_COPY_THRESH = 7;
export const PACKET_AUXDATA = 8;
export const PACKET_VERSION = 10;
export const PACKET_VNET_HDR = 15;
export const PACKET_IGNORE_OUTGOING = 23;
export const PACKET_MR_PROMISC = 1;
export const TPACKET_V2 = 1;
export const TP_STATUS_USER = 1 << 0;
export const TP_STATUS_COPY = 1 << 1;
export const TP_STATUS_VLAN_VALID = 1 << 4;
export const TP_STATUS_VLAN_TPID_VALID = 1 << 6;

export const VIRTIO_NET_HDR_F_NEEDS_CSUM = 1;

/** struct mmsghdr as 32-bit words. */
export const MMSG_WORDS = 16;
export const MMSG = { IOV: 4, IOVLEN: 6, CONTROL: 8, CONTROLLEN: 10, FLAGS: 12, LEN: 14 } as const;
/** struct iovec as 32-bit words. */
export const IOV_WORDS = 4;

export const EINTR = 4;
export const EIO = 5;
export const EAGAIN = 11;
export const EMSGSIZE = 90;
export const ENETDOWN = 100;
export const ENOBUFS = 105;

/** The errno of the call just made: read it before any other call. */
export const errno = (): number => koffi.errno();

/** The address of a typed array's first byte; keep the array referenced for as long as the address is used. */
export const addressOf = (array: ArrayBufferView): number => Number(koffi.address(array));

export const lowWord = (address: number): number => address >>> 0;
export const highWord = (address: number): number => Math.floor(address / 4294967296);

/** struct ifreq: an interface's name, and at IFREQ_VALUE what is asked or told of it. */
export const IFREQ_VALUE = 16;
const IFREQ_BYTES = 40;

/** The structure for an interface, of whose name the kernel takes 15 bytes. */
export const ifreq = (name: string): Uint8Array<ArrayBuffer> => {
  const request = new Uint8Array(IFREQ_BYTES);
  request.set(new TextEncoder().encode(name).subarray(0, IFREQ_VALUE - 1));
  return request;
};

export const int32 = (value: number): Uint8Array => new Uint8Array(new Int32Array([value]).buffer);
