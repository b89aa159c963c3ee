import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Rule, type RuleInit, RuleTable } from '../../agent/dispatcher/rules.ts';
import type { Match } from '../../openflow/index.ts';
import { ethernet, extractKey, ipv4, KEY_WORDS, udp } from '../../packet/index.ts';
import { compileMatch } from '../../sandbox/match.ts';

const rule = (match: Match, init: Partial<RuleInit> = {}, now = 0): Rule =>
  new Rule(
    {
      match,
      priority: 1,
      idleTimeout: 0,
      hardTimeout: 0,
      flags: 0,
      bothDirections: false,
      cookie: 0n,
      tenant: 0,
      onFailure: 0,
      ...init,
    },
    now,
  );

const key = (src: string, dst: string, srcPort: number, dstPort: number, inPort = 1): Uint32Array => {
  const frame = ethernet({
    type: 0x0800,
    payload: ipv4({ src, dst, proto: 17, payload: udp({ src: srcPort, dst: dstPort }) }),
  });
  const words = new Uint32Array(KEY_WORDS);
  extractKey(frame, 0, frame.length, inPort, words);
  return words;
};

const pair = (src: string, dst: string): Match => ({ eth_type: 0x0800, ipv4_src: src, ipv4_dst: dst });

describe('dispatch table', () => {
  test('the rule of higher priority wins, wildcards and all', () => {
    const table = new RuleTable();
    const wide = rule({}, { priority: 1 });
    const narrow = rule(pair('10.0.0.1', '10.0.0.2'), { priority: 7 });
    table.add(wide);
    table.add(narrow);
    expect(table.lookup(key('10.0.0.1', '10.0.0.2', 1, 2))).toBe(narrow);
    expect(table.lookup(key('10.0.0.3', '10.0.0.2', 1, 2))).toBe(wide);
  });

  test('both directions are one rule', () => {
    const table = new RuleTable();
    const both = rule({ in_port: 1, ...pair('10.0.0.1', '10.0.0.2') }, { bothDirections: true });
    table.add(both);
    expect(table.lookup(key('10.0.0.2', '10.0.0.1', 2, 1, 2))).toBe(both);
    expect(table.size).toBe(1);
    table.remove(both);
    expect(table.lookup(key('10.0.0.2', '10.0.0.1', 2, 1, 2))).toBeUndefined();
    expect(table.lookup(key('10.0.0.1', '10.0.0.2', 1, 2, 1))).toBeUndefined();
  });

  test('an ADD with the same match and priority puts the old rule out', () => {
    const table = new RuleTable();
    const old = rule(pair('10.0.0.1', '10.0.0.2'));
    const fresh = rule(pair('10.0.0.1', '10.0.0.2'));
    table.add(old);
    expect(table.add(fresh)).toEqual([old]);
    expect(table.lookup(key('10.0.0.1', '10.0.0.2', 1, 2))).toBe(fresh);
    expect(table.size).toBe(1);
  });

  test('a rule for the reverse direction takes it over; a rule left without direction goes', () => {
    const table = new RuleTable();
    const first = rule(pair('10.0.0.1', '10.0.0.2'), { bothDirections: true });
    table.add(first);
    const back = rule(pair('10.0.0.2', '10.0.0.1'));
    expect(table.add(back)).toEqual([]);
    expect(table.lookup(key('10.0.0.2', '10.0.0.1', 1, 2))).toBe(back);
    expect(table.lookup(key('10.0.0.1', '10.0.0.2', 1, 2))).toBe(first);
    const mirrored = rule(pair('10.0.0.2', '10.0.0.1'), { bothDirections: true });
    expect(new Set(table.add(mirrored))).toEqual(new Set([first, back]));
    expect([...table.all()]).toEqual([mirrored]);
    // Removing what was displaced takes nothing of the newcomer's away.
    table.remove(first);
    expect(table.lookup(key('10.0.0.1', '10.0.0.2', 1, 2))).toBe(mirrored);
  });

  test('a full table refuses new rules and counts them, but replaces', () => {
    const table = new RuleTable(1);
    table.add(rule(pair('10.0.0.1', '10.0.0.2')));
    expect(table.add(rule(pair('10.0.0.1', '10.0.0.3')))).toBeUndefined();
    expect(table.refused).toBe(1);
    expect(table.add(rule(pair('10.0.0.1', '10.0.0.2')))).toHaveLength(1);
  });

  test('delete finds rules at least as specific, delete-strict the very one', () => {
    const table = new RuleTable();
    const a = rule(pair('10.0.0.1', '10.0.0.2'));
    const b = rule({ ...pair('10.0.0.1', '10.0.0.2'), ip_proto: 17, udp_dst: 5 }, { priority: 9 });
    const c = rule({ eth_type: 0x0806 });
    for (const entry of [a, b, c]) table.add(entry);
    const prefix = compileMatch({ eth_type: 0x0800, ipv4_src: ['10.0.0.0', '255.255.255.0'] });
    expect(table.within(prefix)).toEqual([a, b]);
    expect(table.within(compileMatch({}))).toEqual([a, b, c]);
    expect(table.find(a.forward, 1)).toBe(a);
    expect(table.find(a.forward, 2)).toBeUndefined();
  });

  test('idle time counts from the last packet, hard time from the start', () => {
    const table = new RuleTable();
    const idle = rule({ eth_type: 0x0806 }, { idleTimeout: 10 }, 0);
    const hard = rule({ eth_type: 0x0800 }, { hardTimeout: 15, idleTimeout: 10 }, 0);
    table.add(idle);
    table.add(hard);
    hard.lastUsed = 9000;
    expect([...table.expired(9999)]).toEqual([]);
    expect([...table.expired(10_000)]).toEqual([[idle, 'idle']]);
    hard.lastUsed = 14_999;
    idle.lastUsed = 14_999;
    expect([...table.expired(15_000)]).toEqual([[hard, 'hard']]);
  });

  test('what has run out is what a look at every rule finds, each told once', () => {
    const times = fc.record({ idle: fc.nat(4), hard: fc.nat(4) });
    const step = fc.record({
      wait: fc.nat(3000),
      kind: fc.constantFrom('add', 'use', 'modify', 'remove', 'sweep'),
      pick: fc.nat(100),
      times,
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const table = new RuleTable();
        let now = 0;
        let number = 0;
        for (const { wait, kind, pick, times } of steps) {
          now += wait;
          const rules = [...table.all()];
          const one = rules[pick % Math.max(1, rules.length)];
          const timeouts = { idleTimeout: times.idle, hardTimeout: times.hard };
          if (kind === 'add') table.add(rule({ in_port: ++number }, timeouts, now));
          else if (kind === 'sweep') {
            const expected = rules.flatMap((each) => (each.expiry(now) ? [[each, each.expiry(now)]] : []));
            const found = table.expired(now);
            expect(new Set(found.map(([each]) => each))).toEqual(new Set(expected.map(([each]) => each)));
            for (const [each, why] of found) {
              expect(why).toBe(each.expiry(now));
              table.remove(each);
            }
          } else if (one === undefined) continue;
          else if (kind === 'use') one.lastUsed = now;
          else if (kind === 'modify') table.timeoutsChanged(Object.assign(one, timeouts));
          else table.remove(one);
        }
      }),
    );
  });

  test('a tenant has so many distinct masks and no more; other tenants and known masks are not hindered', () => {
    const table = new RuleTable(1000, 3);
    const prefix = (bits: number, net = 10): Match => ({
      eth_type: 0x0800,
      ipv4_src: [`${net}.0.0.0`, `255.${(0xff00 >> bits) & 0xff}.0.0`],
    });
    for (const bits of [0, 1, 2]) expect(table.add(rule(prefix(bits)))).toEqual([]);
    const fourth = rule(prefix(3));
    expect(table.add(fourth)).toBeUndefined();
    expect(table.whyRefused(fourth)).toContain('3 distinct masks');
    expect([table.refused, table.refusedMasks]).toEqual([0, 1]);
    expect(table.add(rule(prefix(2, 11)))).toEqual([]);
    expect(table.add(rule(prefix(3), { tenant: 1 }))).toEqual([]);
    for (const each of table.within(compileMatch(prefix(1)))) table.remove(each);
    expect(table.add(rule(prefix(4, 12)))).toEqual([]);
  });
});
