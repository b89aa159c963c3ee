/** `flowcell devices`: its requests, and what it answers. */
import { describe, expect, test } from 'vitest';
import { Devices, type Group, type Request, requested } from '../../cli/lib/devices.ts';

type Options = Parameters<Group['add']>[0];

const setUp = (failing?: Error) => {
  const done: unknown[] = [];
  const inCharge: ((mode: 'plain' | 'flow') => void)[] = [];
  const group = {
    async add(options: Options, tenant?: number) {
      done.push(['add', options.datapathId, tenant]);
      if (failing !== undefined) throw failing;
      const port = (what: string) => (spec: string) => done.push([what, spec]);
      return { ports: { list: [{ name: 'eth1' }], attach: port('attach'), detach: port('detach') } };
    },
    async remove() {
      done.push(['remove']);
    },
  };
  const devices = new Devices(group as unknown as Group, (request, told) => {
    inCharge.push(told);
    return requested(request) as unknown as Options;
  });
  let id = 0;
  const ask = (request: Partial<Request>) =>
    devices.answer(JSON.stringify({ id: ++id, datapath_id: '0x0a', ...request }));
  return { devices, done, inCharge, ask };
};

test('what a request leaves out, and what it says', () => {
  const request: Request = { id: 1, do: 'start', datapath_id: '0x0a' };
  expect(requested(request)).toEqual({
    datapathId: 10n,
    ports: [],
    controllers: [],
    protocols: undefined,
    failMode: 'secure',
  });
  const more = { ports: ['s1-eth1=1'], controllers: ['127.0.0.1:6653'], fail_mode: 'standalone' };
  expect(requested({ ...request, ...more, protocols: 'OpenFlow10,OpenFlow13' })).toMatchObject({
    ports: ['s1-eth1=1'],
    controllers: [{ host: '127.0.0.1', port: 6653 }],
    protocols: [1, 4],
    failMode: 'standalone',
  });
});

describe('answers', () => {
  test('start, attach, detach, stop', async () => {
    const { devices, done, ask } = setUp();
    expect(await ask({ do: 'start', tenant: 3 })).toEqual({ id: 1, ok: true });
    expect(devices.interfaces()).toEqual(['eth1']);
    expect(await ask({ do: 'attach', port: 'eth2=7' })).toEqual({ id: 2, ok: true });
    expect(await ask({ do: 'detach', port: 'eth2' })).toEqual({ id: 3, ok: true });
    expect(await ask({ do: 'stop' })).toEqual({ id: 4, ok: true });
    expect(devices.interfaces()).toEqual([]);
    expect(done).toEqual([['add', 10n, 3], ['attach', 'eth2=7'], ['detach', 'eth2'], ['remove']]);
  });

  test('a wait is answered when a controller is in charge, as far as it was asked for', async () => {
    const { inCharge, ask } = setUp();
    await ask({ do: 'start' });
    const answered: string[] = [];
    const note = (what: string) => () => answered.push(what);
    const plain = ask({ do: 'wait', for: 'plain' }).then(note('plain'));
    const flow = ask({ do: 'wait', for: 'flow' }).then(note('flow'));
    await new Promise((resolve) => setImmediate(resolve));
    inCharge[0]('plain');
    await plain;
    expect(answered).toEqual(['plain']);
    inCharge[0]('flow');
    await flow;
    expect(await ask({ do: 'wait', for: 'plain' })).toMatchObject({ ok: true });
  });

  test.each([
    ['a datapath id that is none', { do: 'start', datapath_id: 'x' }, 'FC_OPTION_INVALID'],
    ['an address that is none', { do: 'start', controllers: ['nobody:x'] }, 'FC_OPTION_INVALID'],
    ['an unknown fail mode', { do: 'start', fail_mode: 'open' }, 'FC_OPTION_INVALID'],
    ['an unknown version', { do: 'start', protocols: 'OpenFlow99' }, 'FC_OPTION_INVALID'],
    ['a tenant that cannot be', { do: 'start', tenant: 1000 }, 'FC_OPTION_INVALID'],
    ['a switch that does not run', { do: 'stop' }, 'FC_AGENT_NOT_FOUND'],
  ] as const)('%s', async (_, request, code) => {
    const { ask } = setUp();
    expect(await ask(request as Partial<Request>)).toMatchObject({ id: 1, code });
  });

  test('twice the same switch; nothing of that name to do; a line that is no JSON', async () => {
    const { devices, ask } = setUp();
    await ask({ do: 'start' });
    expect(await ask({ do: 'start' })).toMatchObject({ id: 2, code: 'FC_ALREADY_RUNNING' });
    expect(await ask({ do: 'jump' as 'stop' })).toMatchObject({ id: 3, code: 'FC_OPTION_INVALID' });
    expect(await devices.answer('{')).toMatchObject({ id: null, code: 'FC_INTERNAL' });
  });

  test('a switch that does not start says why, and may be started again', async () => {
    const failing = Object.assign(new Error('There is no network interface eth1 here.'), {
      code: 'FC_PORT_NOT_FOUND',
    });
    const { ask } = setUp(failing);
    const answer = { error: failing.message, code: 'FC_PORT_NOT_FOUND' };
    expect(await ask({ do: 'start' })).toEqual({ id: 1, ...answer });
    expect(await ask({ do: 'start' })).toEqual({ id: 2, ...answer });
  });
});
