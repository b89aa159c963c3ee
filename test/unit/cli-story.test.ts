import { expect, test } from 'vitest';
import { Narrator } from '../../cli/demo/narrator.ts';
import { type Event, Story } from '../../cli/demo/story.ts';
import { View } from '../../cli/demo/view.ts';

const match = {
  eth_type: 0x800,
  ip_proto: 17,
  ipv4_src: '10.0.0.1',
  ipv4_dst: '10.0.0.2',
  udp_src: 1,
  udp_dst: 2,
};

/** What the controller tells of one flow, `start` microseconds into its life. */
function setUp(n: number, start: number, reason: number | string = 0): Event[] {
  return [
    { at: start, type: 'query', query_id: n, in_port: 1, reason, match: { ...match, udp_src: n } },
    { at: start + 100, type: 'rule', query_id: n, cookie: `c${n}`, match },
    { at: start + 300, type: 'ready', query_id: n, cookie: `c${n}`, cell: n + 10, setup_us: 25 },
    { at: start + 350, type: 'entries', cookie: `c${n}`, cell: n + 10, entries: 2 },
    { at: start + n * 500, type: 'barrier', cookie: `c${n}`, cell: n + 10, setup_us: n * 500 },
  ];
}

test('a flow is followed from its query to its live cell', () => {
  const story = new Story();
  const steps = setUp(1, 1000).map((event) => story.add(event).step);
  expect(steps).toEqual(['query', 'rule', 'ready', 'entries', 'live']);
  expect(story.flows).toEqual([
    {
      name: 'udp 10.0.0.1:1 > 10.0.0.2:2',
      match,
      inPort: 1,
      again: false,
      queriedAt: 1000,
      cell: 11,
      entries: 2,
      ruleUs: 100,
      readyUs: 300,
      cellStartUs: 25,
      entriesUs: 350,
      liveUs: 500,
    },
  ]);
  expect([...story.cells]).toEqual([11]);
});

test('entries that are sent with the rule are told in their place', () => {
  const story = new Story();
  const [query, rule, ready, entries, barrier] = setUp(1, 1000);
  const order = [query, rule, { ...entries, at: 1120 }, ready, barrier];
  expect(order.map((event) => story.add(event).step)).toEqual(['query', 'rule', 'entries', 'ready', 'live']);
  expect(story.flows).toMatchObject([{ cell: 11, entries: 2, entriesUs: 120, readyUs: 300, liveUs: 500 }]);
});

test('set-up times are of new flows, not of those whose cell had ended', () => {
  const story = new Story();
  for (let n = 1; n <= 4; n++) for (const event of setUp(n, n * 1e6)) story.add(event);
  for (const event of setUp(9, 9e6, 1)) story.add(event);
  expect(story.flows).toHaveLength(5);
  expect(story.setup()).toEqual({ count: 4, p50: 1000, p99: 2000 });
});

test('a cell that the device replaces by itself is a new cell of the same flow', () => {
  const story = new Story();
  for (const event of setUp(1, 0)) story.add(event);
  expect(story.add({ at: 5000, type: 'killed', cookie: 'c1', cell: 11 }).step).toBe('ended');
  story.add({ at: 5100, type: 'ready', cookie: 'c1', cell: 99, setup_us: 20 });
  story.add({ at: 5200, type: 'entries', cookie: 'c1', cell: 99, entries: 2 });
  expect(story.add({ at: 5300, type: 'barrier', cookie: 'c1', cell: 99 })).toMatchObject({
    step: 'live',
    flow: { again: true, cell: 99, liveUs: 200, name: 'udp 10.0.0.1:1 > 10.0.0.2:2' },
  });
  expect(story.byCell(99)?.again).toBe(true);
  expect(story.setup().count).toBe(1);
});

test('events of flows that began before we watched change nothing', () => {
  const story = new Story();
  for (const event of setUp(1, 0).slice(2)) {
    expect(story.add(event).flow).toBeUndefined();
  }
  expect(story.flows).toEqual([]);
});

/** A screen that remembers, as a terminal would show it without its cursor moves. */
function screen(isTTY: boolean) {
  const written: string[] = [];
  return { isTTY, columns: 60, rows: 24, written, write: (text: string) => written.push(text) };
}

test('the first flow is told step by step, some more in a line each, the rest is counted', () => {
  const out = screen(false);
  const narrator = new Narrator(new View(out, {}));
  const story = new Story();
  for (let n = 1; n <= 8; n++) {
    for (const event of setUp(n, n * 1e6)) {
      const { step, flow } = story.add(event);
      narrator.tell(step, flow);
    }
  }
  narrator.end();
  const text = out.written.join('');
  for (const word of ['query', 'rule', 'acknowledged', 'entries', 'live']) expect(text).toContain(word);
  expect(text).toContain('cell 12  udp 10.0.0.1:2 > 10.0.0.2:2');
  expect(text).toContain('... and 3 more, each with a cell of its own');
  expect(text).not.toContain('\x1b');
});

test('the panel is drawn below the lines on a terminal, cut to its width, and nowhere else', () => {
  const out = screen(true);
  const view = new View(out, {});
  view.panel(['cells', 'x'.repeat(100)]);
  expect(out.written.at(-1)).toContain(`${'x'.repeat(59)}\x1b`);
  view.log('happened');
  // Two lines up, erased, the line, and the panel again.
  expect(out.written.at(-1)?.startsWith('\x1b[2A\r\x1b[Jhappened\n')).toBe(true);
  expect(out.written.at(-1)).toContain('cells');
  view.clear();
  expect(out.written.at(-1)).toBe('\x1b[2A\r\x1b[J');

  const plain = screen(false);
  new View(plain, {}).panel(['cells']);
  expect(plain.written).toEqual([]);
});
