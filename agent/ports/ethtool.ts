/** What an interface says of its medium: ETHTOOL_GSET, which every driver answers, in the socket's own namespace. */
import { type Medium, NO_MEDIUM } from './medium.ts';
import { addressOf, highWord, IFREQ_VALUE, ifreq, lowWord, sys } from './socket.ts';

const SIOCETHTOOL = 0x8946;
const ETHTOOL_GSET = 1;
/** struct ethtool_cmd. */
const COMMAND = {
  SUPPORTED: 4,
  ADVERTISING: 8,
  SPEED: 12,
  DUPLEX: 14,
  PORT: 15,
  SPEED_HIGH: 28,
  PEER: 32,
  BYTES: 44,
};
const UNKNOWN_SPEED = 0xffffffff;

/** Kept for good: the kernel gets its address. */
const commandBytes = new Uint8Array(new ArrayBuffer(COMMAND.BYTES));
const command = new DataView(commandBytes.buffer);
const commandAddress = addressOf(commandBytes);

/** Through any socket of the interface's namespace. Interfaces that cannot tell have no medium. */
export const readMedium = (fd: number, name: string): Medium => {
  commandBytes.fill(0);
  command.setUint32(0, ETHTOOL_GSET, true);
  const request = ifreq(name);
  const words = new DataView(request.buffer);
  words.setUint32(IFREQ_VALUE, lowWord(commandAddress), true);
  words.setUint32(IFREQ_VALUE + 4, highWord(commandAddress), true);
  if (sys.ioctl(fd, SIOCETHTOOL, addressOf(request)) < 0) return NO_MEDIUM;
  const low = command.getUint16(COMMAND.SPEED, true);
  const speed = low + command.getUint16(COMMAND.SPEED_HIGH, true) * 65536;
  return {
    speed: speed === UNKNOWN_SPEED || speed === 0xffff ? 0 : speed,
    halfDuplex: command.getUint8(COMMAND.DUPLEX) === 0,
    fiber: command.getUint8(COMMAND.PORT) === 3,
    supported: command.getUint32(COMMAND.SUPPORTED, true),
    advertised: command.getUint32(COMMAND.ADVERTISING, true),
    peer: command.getUint32(COMMAND.PEER, true),
  };
};
