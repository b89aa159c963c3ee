import { expect, test } from 'vitest';
import { isLeftover, ownerPrefix } from '../../mininet/owner.ts';
import { plan } from '../../mininet/topology.ts';

test('names namespaces, interfaces and addresses', () => {
  const { hosts, switches, links } = plan(
    {
      switches: { s1: {}, s2: {} },
      hosts: { h1: {}, h2: { ip: '192.0.2.7/28', mac: '02:aa:00:00:00:01' } },
      links: [
        ['h1', 's1'],
        ['s1', 's2'],
        ['h2', 's2'],
      ],
    },
    'p.',
  );
  expect(hosts.h1).toMatchObject({
    namespace: 'p.h1',
    ip: '10.0.0.1',
    prefixLength: 24,
    mac: '02:00:00:00:00:01',
  });
  expect(hosts.h2).toMatchObject({ ip: '192.0.2.7', prefixLength: 28, mac: '02:aa:00:00:00:01' });
  expect(hosts.h1.interface).toBe('h1-eth0');
  expect(switches.s1.ports).toEqual(['s1-eth1', 's1-eth2']);
  expect(switches.s2.ports).toEqual(['s2-eth1', 's2-eth2']);
  expect(links.map((link) => [link.a.interface, link.b.interface])).toEqual([
    ['h1-eth0', 's1-eth1'],
    ['s1-eth2', 's2-eth1'],
    ['h2-eth0', 's2-eth2'],
  ]);
});

test('addresses stay unique and on one network beyond 254 hosts', () => {
  const names = Array.from({ length: 600 }, (_, index) => `h${index + 1}`);
  const { hosts } = plan(
    { switches: {}, hosts: Object.fromEntries(names.map((name) => [name, {}])), links: [] },
    'p.',
  );
  const all = Object.values(hosts);
  expect(new Set(all.map((host) => host.ip)).size).toBe(600);
  expect(new Set(all.map((host) => host.mac)).size).toBe(600);
  expect(all.every((host) => host.prefixLength === 16)).toBe(true);
});

test.each([
  [{ switches: {}, hosts: { 'h 1': {} }, links: [] }, /cannot name a node/],
  [{ switches: { h1: {} }, hosts: { h1: {} }, links: [] }, /Two nodes/],
  [{ switches: {}, hosts: { h1: {} }, links: [['h1', 'h9']] as const }, /'h9', which is no host/],
  [
    {
      switches: { s1: {} },
      hosts: { h1: {} },
      links: [
        ['h1', 's1'],
        ['h1', 's1'],
      ] as const,
    },
    /more than one link/,
  ],
  [
    { switches: { abcdefghijkl: {} }, hosts: { h1: {} }, links: [['h1', 'abcdefghijkl']] as const },
    /longer than/,
  ],
])('says what is wrong with a topology (%#)', (spec, message) => {
  expect(() => plan(spec as Parameters<typeof plan>[0], 'p.')).toThrow(message);
});

test('a living owner keeps its namespaces, a dead one does not, others are not ours', () => {
  const mine = `${ownerPrefix()}h1`;
  expect(isLeftover(mine)).toBe(false);
  // The same process id with another start time: somebody else now.
  expect(isLeftover(mine.replace(/^fc\.(\d+)\.\d+/, 'fc.$1.1'))).toBe(true);
  expect(isLeftover('fc.4194304999.1.1.h1')).toBe(true);
  expect(isLeftover('somebody-elses')).toBe(false);
  expect(isLeftover('fc.notes')).toBe(false);
});
