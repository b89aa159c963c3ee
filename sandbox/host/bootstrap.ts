/**
 * Becomes the script named by its first argument, with what must hold before Node starts: see lockDownEarly.
 * Descriptors from 3 on up to HOST_FD.TO_AGENT are handed on.
 */
import { HOST_FD } from '../channel/control.ts';
import { F_SETFD, raw } from '../sys/libc.ts';
import { lockDownEarly } from './lockdown.ts';

for (let fd = HOST_FD.CONTROL; fd <= HOST_FD.TO_AGENT; fd++) {
  // Node marks what it inherits close-on-exec. A descriptor that is not there is nobody's loss here.
  raw.fcntl(fd, F_SETFD, 0);
}
lockDownEarly();
process.execve!(process.execPath, [process.execPath, ...process.execArgv, ...process.argv.slice(2)], {
  ...process.env,
});
