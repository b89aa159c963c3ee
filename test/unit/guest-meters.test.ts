/** Meters in a cell of the `openflow` program. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ErrorType,
  FlowModFlag,
  FlowRemovedReason,
  type Message,
  type MessageInit,
  type MessageInitOf,
  type MessageOf,
  Meter,
  MeterFlag,
  MeterModCommand,
  MeterModFailedCode,
} from '../../openflow/index.ts';
import { arp, ethernet, ipv4, ipv6, udp } from '../../packet/index.ts';
import { remark } from '../../sandbox/guest/openflow/meters.ts';
import { GuestHarness } from '../support/guest-harness.ts';
import { conforming } from '../support/reference-groups.ts';

type MeterMod = Partial<MessageInitOf<'meter_mod'>>;
type BandInit = NonNullable<MessageInitOf<'meter_mod'>['bands']>[number];

const meterMod = (init: MeterMod): MessageInitOf<'meter_mod'> => ({
  type: 'meter_mod',
  command: MeterModCommand.ADD,
  flags: MeterFlag.KBPS,
  meter_id: 1,
  ...init,
});
const useMeter = (id = 1): MessageInitOf<'flow_mod'> => ({
  type: 'flow_mod',
  instructions: [
    { type: 'meter', meter_id: id },
    { type: 'apply_actions', actions: [{ type: 'output', port: 2 }] },
  ],
});
const frameOf = (length: number, dscp = 0) =>
  ethernet({
    type: 0x0800,
    payload: ipv4({ proto: 17, dscp, payload: udp({ payload: new Uint8Array(length - 42) }) }),
  });
const dscpOf = (frame: Uint8Array) => frame[15] >> 2;
const drop = (rate: number, burst_size = 0): BandInit => ({ type: 'drop', rate, burst_size });

function ask(harness: GuestHarness, ...messages: MessageInit[]): void {
  expect(harness.ask(...messages)).toEqual([]);
}

function expectError(answers: Message[], code: number): void {
  expect(answers.map((answer) => answer.type === 'error' && [answer.error_type, answer.code])).toEqual([
    [ErrorType.METER_MOD_FAILED, code],
  ]);
}

function statistics(harness: GuestHarness, meter_id: number = Meter.ALL) {
  const answers = harness.ask({ type: 'multipart_request', body: { type: 'meter', meter_id } });
  return answers.flatMap((one) => {
    if (one.type !== 'multipart_reply' || one.body.type !== 'meter') throw new Error('not meter statistics');
    return one.body.meters;
  });
}

const PKTPS_BURST = MeterFlag.PKTPS | MeterFlag.BURST;

describe('drop bands', () => {
  it('lets through a burst and then the rate, in packets', () => {
    const harness = new GuestHarness();
    ask(harness, meterMod({ flags: PKTPS_BURST, bands: [drop(10, 5)] }), useMeter());
    const passed = (count: number) => {
      let sum = 0;
      for (let n = 0; n < count; n++) sum += harness.send(frameOf(60 + n)).length;
      return sum;
    };
    expect(passed(20)).toBe(5);
    harness.now = 99;
    expect(passed(3)).toBe(0);
    harness.now = 100;
    expect(passed(3)).toBe(1);
    harness.now = 400;
    expect(passed(9)).toBe(3);
    harness.now = 100_000;
    expect(passed(9)).toBe(5);
  });

  it('counts every packet at the meter, and those over the rate at the band', () => {
    const harness = new GuestHarness();
    ask(harness, meterMod({ flags: PKTPS_BURST, bands: [drop(1, 1)] }), useMeter(), {
      ...useMeter(),
      table_id: 4,
    });
    for (let n = 0; n < 3; n++) harness.send(frameOf(100));
    harness.now = 250;
    expect(statistics(harness)).toEqual([
      {
        meter_id: 1,
        flow_count: 2,
        packet_in_count: 3n,
        byte_in_count: 300n,
        duration_sec: 0,
        duration_nsec: 250_000_000,
        band_stats: [{ packet_band_count: 2n, byte_band_count: 200n }],
      },
    ]);
  });

  it('a frame larger than the burst is late, not shut out', () => {
    const harness = new GuestHarness();
    // 8 bits a ms; a full bucket of 8,000 bits, and frames of 16,000.
    ask(harness, meterMod({ flags: MeterFlag.KBPS | MeterFlag.BURST, bands: [drop(8, 8)] }), useMeter());
    const passes = (at: number) => {
      harness.now = at;
      return harness.send(frameOf(2000)).length;
    };
    expect([0, 1000, 1999, 2000, 3999, 4000].map(passes)).toEqual([1, 0, 0, 1, 0, 1]);
  });

  it('of several bands the one of the highest rate that is exceeded counts', () => {
    const harness = new GuestHarness();
    const bands: BandInit[] = [{ type: 'dscp_remark', rate: 1, burst_size: 2, prec_level: 1 }, drop(2, 4)];
    ask(harness, meterMod({ flags: PKTPS_BURST, bands }), useMeter());
    const marks = Array.from({ length: 6 }, () =>
      harness.send(frameOf(60, 10)).map(({ frame }) => dscpOf(frame)),
    );
    expect(marks).toEqual([[10], [10], [12], [12], [], []]);
    expect(statistics(harness)[0].band_stats).toMatchObject([
      { packet_band_count: 2n },
      { packet_band_count: 2n },
    ]);
  });

  it('does what a token bucket is, at any rate and for any packets', () => {
    const arrivals = fc.array(fc.tuple(fc.nat(400), fc.integer({ min: 60, max: 1500 })), { maxLength: 40 });
    const meter = fc.record({
      rate: fc.integer({ min: 0, max: 40 }),
      burst: fc.integer({ min: 0, max: 20 }),
      packets: fc.boolean(),
    });
    fc.assert(
      fc.property(arrivals, meter, (steps, { rate, burst, packets }) => {
        const harness = new GuestHarness();
        const flags = MeterFlag.BURST | (packets ? MeterFlag.PKTPS : MeterFlag.KBPS);
        ask(harness, meterMod({ flags, bands: [drop(rate, burst)] }), useMeter());
        let at = 0;
        const got = steps.map(([wait, length]) => {
          at += wait;
          harness.now = at;
          return harness.send(frameOf(length)).length === 1;
        });
        let then = 0;
        const volumes = steps.map(([wait, length]) => {
          then += wait;
          return { at: then, volume: packets ? 1000 : length * 8 };
        });
        expect(got).toEqual(conforming(volumes, rate, burst * 1000));
      }),
      { numRuns: 300 },
    );
  });
});

describe('DSCP remark bands', () => {
  const setUp = (prec_level: number) => {
    const harness = new GuestHarness();
    ask(
      harness,
      meterMod({ flags: PKTPS_BURST, bands: [{ type: 'dscp_remark', rate: 0, prec_level }] }),
      useMeter(),
    );
    // Takes the bucket, which has room for nothing, into debt.
    harness.send(frameOf(60));
    return harness;
  };

  it('raises the drop precedence of assured forwarding, checksum and all', () => {
    const [sent] = setUp(1).send(frameOf(80, 18));
    expect(sent.frame).toEqual(frameOf(80, 20));
    const v6 = (trafficClass: number) =>
      ethernet({ type: 0x86dd, payload: ipv6({ proto: 17, trafficClass, payload: udp() }) });
    expect(setUp(2).send(v6((10 << 2) | 1))[0].frame).toEqual(v6((14 << 2) | 1));
  });

  it('leaves alone what has no drop precedence', () => {
    const harness = setUp(1);
    for (const dscp of [0, 8, 46, 48, 11, 14])
      expect(harness.send(frameOf(60, dscp))[0].frame).toEqual(frameOf(60, dscp));
    const frame = ethernet({ type: 0x0806, payload: arp({ op: 1 }) });
    expect(harness.send(frame)[0].frame).toEqual(frame);
  });

  it('the mark counts for tables that follow', () => {
    const harness = setUp(1);
    ask(
      harness,
      {
        type: 'flow_mod',
        instructions: [
          { type: 'meter', meter_id: 1 },
          { type: 'goto_table', table_id: 1 },
        ],
      },
      {
        type: 'flow_mod',
        table_id: 1,
        match: { eth_type: 0x0800, ip_dscp: 28 },
        instructions: [{ type: 'apply_actions', actions: [{ type: 'output', port: 7 }] }],
      },
    );
    expect(harness.send(frameOf(60, 26)).map(({ port }) => port)).toEqual([7]);
  });

  it('precedence ends at 3', () => {
    expect([10, 12, 14].map((dscp) => remark(dscp, 2))).toEqual([14, 14, 14]);
    expect(remark(34, 1)).toBe(36);
    expect(remark(42, 1)).toBe(42);
  });
});

it('without a burst of its own a band lets through its rate for a tenth of a second', () => {
  const harness = new GuestHarness();
  ask(harness, meterMod({ flags: MeterFlag.PKTPS, bands: [drop(100)] }), useMeter());
  let passed = 0;
  for (let n = 0; n < 30; n++) passed += harness.send(frameOf(60)).length;
  expect(passed).toBe(10);
});

it('a change takes new bands and keeps the meter and its counters', () => {
  const harness = new GuestHarness();
  ask(harness, meterMod({ flags: PKTPS_BURST, bands: [drop(0, 0), drop(1, 1)] }), useMeter());
  for (let n = 0; n < 3; n++) harness.send(frameOf(60));
  ask(harness, meterMod({ command: MeterModCommand.MODIFY, bands: [] }));
  expect(harness.send(frameOf(60))).toHaveLength(1);
  expect(statistics(harness)).toMatchObject([{ packet_in_count: 4n, flow_count: 1, band_stats: [] }]);
});

it('tells configuration and features', () => {
  const harness = new GuestHarness();
  const bands: BandInit[] = [{ type: 'dscp_remark', rate: 5, burst_size: 7, prec_level: 2 }, drop(9)];
  ask(harness, meterMod({ bands }), meterMod({ meter_id: 2, flags: 0 }));
  const config = (meter_id: number) =>
    harness.ask({ type: 'multipart_request', body: { type: 'meter_config', meter_id } });
  expect(config(Meter.ALL)).toMatchObject([
    {
      body: {
        meters: [
          { meter_id: 1, flags: 1, bands },
          { meter_id: 2, flags: 0, bands: [] },
        ],
      },
    },
  ]);
  expect(config(2)).toMatchObject([{ body: { meters: [{ meter_id: 2 }] } }]);
  expectError(config(3), MeterModFailedCode.UNKNOWN_METER);
  expect(harness.ask({ type: 'multipart_request', body: { type: 'meter_features' } })).toMatchObject([
    { body: { max_meter: 1024, band_types: 6, capabilities: 15, max_bands: 16, max_color: 0 } },
  ]);
});

it('deleting a meter takes along the entries that use it', () => {
  const harness = new GuestHarness();
  const flags = FlowModFlag.SEND_FLOW_REM;
  ask(harness, meterMod({}), meterMod({ meter_id: 2 }), { ...useMeter(1), flags, cookie: 1n });
  ask(harness, { ...useMeter(2), table_id: 1, flags, cookie: 2n }, { type: 'flow_mod', table_id: 2, flags });
  const removed = (meter_id: number) =>
    harness
      .ask(meterMod({ command: MeterModCommand.DELETE, meter_id }))
      .map((message) => [
        (message as MessageOf<'flow_removed'>).cookie,
        (message as MessageOf<'flow_removed'>).reason,
      ]);
  expect(removed(2)).toEqual([[2n, FlowRemovedReason.DELETE]]);
  expect(removed(2)).toEqual([]);
  expect(removed(Meter.ALL)).toEqual([[1n, FlowRemovedReason.DELETE]]);
  expect(statistics(harness)).toEqual([]);
});

describe('errors', () => {
  const code = MeterModFailedCode;
  const bad: [string, MeterMod, number][] = [
    ['meter 0', { meter_id: 0 }, code.INVALID_METER],
    ['a reserved number', { meter_id: Meter.CONTROLLER }, code.INVALID_METER],
    ['a meter twice', { meter_id: 5 }, code.METER_EXISTS],
    ['a change of what there is not', { command: MeterModCommand.MODIFY }, code.UNKNOWN_METER],
    ['an unknown command', { command: 3 }, code.BAD_COMMAND],
    ['unknown flags', { flags: 16 }, code.BAD_FLAGS],
    ['two units', { flags: MeterFlag.KBPS | MeterFlag.PKTPS }, code.BAD_FLAGS],
    ['too many bands', { bands: Array.from({ length: 17 }, () => drop(1)) }, code.OUT_OF_BANDS],
    [
      'experimenter bands',
      { bands: [{ type: 'experimenter', rate: 1, experimenter: 1, data: new Uint8Array(0) }] },
      code.BAD_BAND,
    ],
    ['no precedence', { bands: [{ type: 'dscp_remark', rate: 1 }] }, code.BAD_BAND_VALUE],
    [
      'precedence beyond 3',
      { bands: [{ type: 'dscp_remark', rate: 1, prec_level: 3 }] },
      code.BAD_BAND_VALUE,
    ],
  ];
  it.each(bad)('%s is refused, and nothing applied', (_, init, expected) => {
    const harness = new GuestHarness();
    ask(harness, meterMod({ meter_id: 5 }));
    expectError(harness.ask(meterMod(init)), expected);
    expect(statistics(harness).map(({ meter_id }) => meter_id)).toEqual([5]);
  });

  it('an entry with a meter that there is not', () => {
    expectError(new GuestHarness().ask(useMeter(7)), code.UNKNOWN_METER);
  });

  it('more meters than a cell has', () => {
    const harness = new GuestHarness();
    for (let id = 1; id <= 1024; id++) ask(harness, meterMod({ meter_id: id }));
    expectError(harness.ask(meterMod({ meter_id: 1025 })), code.OUT_OF_METERS);
    expect(statistics(harness)).toHaveLength(1024);
  });
});
