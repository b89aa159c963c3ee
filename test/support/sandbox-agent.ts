/** An agent with one sandbox host, to be killed: prints the host's process id. */
import { PollLoop, SandboxHost } from '../../sandbox/index.ts';
import { Recorder, rawProgram, type TestFrame, testLogger } from './sandbox.ts';

const loop = new PollLoop();
loop.start();
const host = await SandboxHost.start<TestFrame>({
  tenant: 0,
  loop,
  events: new Recorder(),
  programs: [rawProgram('echo')],
  poolSize: 1,
  logger: testLogger(),
});
console.log(host.pid);
