/** Two warmed isolates get a flow each, the second between two marks on standard output: for V8's traces to be read beside. */
import { ethernet, ipv4, udp } from '../../packet/index.ts';
import { builtInPrograms } from '../../sandbox/client/programs.ts';
import { flowSetUp } from '../../sandbox/guest/openflow/warm-messages.ts';
import { IsolateCell } from './isolate-cell.ts';

const ENTRIES = 200;
const PACKETS = 3;
/** In the messages: the learning switch's entries and a barrier; of those the output port, their last word but one. */
const FIRST = 3;
const PORT_FROM_END = 12;
const FLOW_MOD = 14;
const NEW_PORT = 7;

const [{ code }] = await builtInPrograms();
const frame = ethernet({
  type: 0x0800,
  payload: ipv4({ proto: 17, payload: udp({ src: 1000, dst: 2000 }) }),
});
const messages = flowSetUp().slice(FIRST);
for (const message of messages) {
  if (message[1] === FLOW_MOD) message[message.length - PORT_FROM_END + 3] = NEW_PORT;
}

function warmed(): IsolateCell {
  const cell = new IsolateCell(code);
  // As the host does, which makes V8 forget what only the warm-up had.
  cell.heap();
  return cell;
}

function flow(cell: IsolateCell): void {
  for (const message of messages) cell.step({ message });
  for (let i = 0; i < ENTRIES; i++) {
    cell.step({ pass: 1 });
    cell.step({ frames: new Array(PACKETS).fill(frame) });
  }
}

// By the first, what drives the cells is compiled.
flow(warmed());
const cell = warmed();
console.log('MARK');
flow(cell);
console.log('MARK');
cell.dispose();
