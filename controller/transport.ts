/** The connection to a device as the controller uses it: a TCP socket, or what a test has in its place. */

import type { Socket } from 'node:net';

export type Transport = Pick<
  Socket,
  | 'remoteAddress'
  | 'remotePort'
  | 'writable'
  | 'writableLength'
  | 'setNoDelay'
  | 'on'
  | 'write'
  | 'pause'
  | 'resume'
  | 'isPaused'
  | 'destroySoon'
  | 'destroy'
>;
