/** An agent as a process of its own, for tests: options as JSON in the first argument, prints 'ready'. */
import pino from 'pino';
import { Agent } from '../../agent/index.ts';

const { datapathId, logLevel, ...options } = JSON.parse(process.argv[2]);
const agent = await Agent.start({
  ...options,
  datapathId: BigInt(datapathId),
  logger: pino({ level: logLevel ?? 'warn' }, pino.destination(2)),
});
process.once('SIGTERM', () => {
  agent.stop().then(
    () => process.exit(0),
    (error) => {
      console.error(error);
      process.exit(1);
    },
  );
});
console.log('ready');
