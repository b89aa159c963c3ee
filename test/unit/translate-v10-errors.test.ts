/** Errors of OpenFlow 1.0 and 1.3, and roles, which are Nicira's in 1.0. */
import { describe, expect, test } from 'vitest';
import * as v13 from '../../openflow/index.ts';
import { ControllerRole } from '../../openflow/index.ts';
import * as v10 from '../../openflow/v10/index.ts';
import { data, dialect, from10, refused, to10, xid } from '../support/translate-v10.ts';

describe('errors', () => {
  const E10 = v10.ErrorType;
  const E13 = v13.ErrorType;
  const error = (error_type: number, code: number) =>
    ({ type: 'error', xid, error_type, code, data }) as const;

  /** The same either way. */
  const SAME = [
    [E10.HELLO_FAILED, 1, E13.HELLO_FAILED, 1],
    [E10.BAD_REQUEST, v10.BadRequestCode.BAD_STAT, E13.BAD_REQUEST, v13.BadRequestCode.BAD_MULTIPART],
    [E10.BAD_REQUEST, v10.BadRequestCode.BAD_VENDOR, E13.BAD_REQUEST, v13.BadRequestCode.BAD_EXPERIMENTER],
    [E10.BAD_REQUEST, v10.BadRequestCode.BUFFER_UNKNOWN, E13.BAD_REQUEST, v13.BadRequestCode.BUFFER_UNKNOWN],
    [E10.BAD_ACTION, v10.BadActionCode.BAD_QUEUE, E13.BAD_ACTION, v13.BadActionCode.BAD_QUEUE],
    [
      E10.FLOW_MOD_FAILED,
      v10.FlowModFailedCode.ALL_TABLES_FULL,
      E13.FLOW_MOD_FAILED,
      v13.FlowModFailedCode.TABLE_FULL,
    ],
    [E10.FLOW_MOD_FAILED, v10.FlowModFailedCode.OVERLAP, E13.FLOW_MOD_FAILED, v13.FlowModFailedCode.OVERLAP],
    [E10.FLOW_MOD_FAILED, v10.FlowModFailedCode.EPERM, E13.FLOW_MOD_FAILED, v13.FlowModFailedCode.EPERM],
    [
      E10.FLOW_MOD_FAILED,
      v10.FlowModFailedCode.BAD_EMERG_TIMEOUT,
      E13.FLOW_MOD_FAILED,
      v13.FlowModFailedCode.BAD_TIMEOUT,
    ],
    [
      E10.FLOW_MOD_FAILED,
      v10.FlowModFailedCode.BAD_COMMAND,
      E13.FLOW_MOD_FAILED,
      v13.FlowModFailedCode.BAD_COMMAND,
    ],
    [
      E10.FLOW_MOD_FAILED,
      v10.FlowModFailedCode.UNSUPPORTED,
      E13.BAD_ACTION,
      v13.BadActionCode.UNSUPPORTED_ORDER,
    ],
    [
      E10.PORT_MOD_FAILED,
      v10.PortModFailedCode.BAD_HW_ADDR,
      E13.PORT_MOD_FAILED,
      v13.PortModFailedCode.BAD_HW_ADDR,
    ],
    [
      E10.QUEUE_OP_FAILED,
      v10.QueueOpFailedCode.BAD_QUEUE,
      E13.QUEUE_OP_FAILED,
      v13.QueueOpFailedCode.BAD_QUEUE,
    ],
  ] as const;

  test.each(SAME)('%i/%i of 1.0 is %i/%i of 1.3', (type10, code10, type13, code13) => {
    expect(from10(error(type10, code10))).toEqual([error(type13, code13)]);
    expect(to10(error(type13, code13))).toEqual([error(type10, code10)]);
  });

  test.each([
    [E13.BAD_REQUEST, v13.BadRequestCode.IS_SLAVE, E10.BAD_REQUEST, v10.BadRequestCode.EPERM],
    [E13.BAD_ACTION, v13.BadActionCode.BAD_OUT_GROUP, E10.BAD_ACTION, v10.BadActionCode.BAD_OUT_PORT],
    [E13.BAD_ACTION, v13.BadActionCode.BAD_TAG, E10.BAD_ACTION, v10.BadActionCode.BAD_ARGUMENT],
    [E13.BAD_MATCH, v13.BadMatchCode.BAD_FIELD, E10.FLOW_MOD_FAILED, v10.FlowModFailedCode.UNSUPPORTED],
    [
      E13.FLOW_MOD_FAILED,
      v13.FlowModFailedCode.UNKNOWN,
      E10.FLOW_MOD_FAILED,
      v10.FlowModFailedCode.UNSUPPORTED,
    ],
    [E13.PORT_MOD_FAILED, v13.PortModFailedCode.BAD_CONFIG, E10.BAD_REQUEST, v10.BadRequestCode.EPERM],
    [E13.ROLE_REQUEST_FAILED, v13.RoleRequestFailedCode.STALE, E10.BAD_REQUEST, v10.BadRequestCode.EPERM],
    [E13.GROUP_MOD_FAILED, 0, E10.BAD_REQUEST, v10.BadRequestCode.BAD_TYPE],
    [E13.EXPERIMENTER, 0, E10.BAD_REQUEST, v10.BadRequestCode.BAD_VENDOR],
  ])('%i/%i of 1.3 is nearest to %i/%i of 1.0', (type13, code13, type10, code10) => {
    expect(to10(error(type13, code13))).toEqual([error(type10, code10)]);
  });

  test('every error of 1.3 is one that 1.0 has', () => {
    const codes: Record<number, Record<string, number>> = {
      [E10.HELLO_FAILED]: v10.HelloFailedCode,
      [E10.BAD_REQUEST]: v10.BadRequestCode,
      [E10.BAD_ACTION]: v10.BadActionCode,
      [E10.FLOW_MOD_FAILED]: v10.FlowModFailedCode,
      [E10.PORT_MOD_FAILED]: v10.PortModFailedCode,
      [E10.QUEUE_OP_FAILED]: v10.QueueOpFailedCode,
    };
    for (const type of Object.values(E13)) {
      for (let code = 0; code < 20; code++) {
        const [message] = to10(error(type, code)) as v10.MessageOf<'error'>[];
        expect(Object.values(codes[message.error_type]), `${type}/${code}`).toContain(message.code);
      }
    }
  });

  test('one that 1.3 has no type for is an experimenter’s', () => {
    expect(from10(error(0xb0c2, 0))).toEqual([error(E13.EXPERIMENTER, 0)]);
    expect(from10(error(E10.FLOW_MOD_FAILED, 99))).toEqual([error(E13.FLOW_MOD_FAILED, 0)]);
  });
});

describe("Nicira's messages", () => {
  const role = (type: 'nx_role_request' | 'nx_role_reply', of: number): v10.MessageInit => ({
    type,
    xid,
    role: of,
  });

  test.each([
    [0, ControllerRole.EQUAL],
    [1, ControllerRole.MASTER],
    [2, ControllerRole.SLAVE],
  ])('role %i is %i', (ten, thirteen) => {
    const of = { xid, role: thirteen };
    expect(from10(role('nx_role_request', ten))).toMatchObject([{ type: 'role_request', ...of }]);
    expect(from10(role('nx_role_reply', ten))).toMatchObject([{ type: 'role_reply', ...of }]);
    expect(dialect().encode({ type: 'role_request', ...of })).toEqual([
      v10.encode(role('nx_role_request', ten)),
    ]);
    expect(dialect().encode({ type: 'role_reply', ...of })).toEqual([v10.encode(role('nx_role_reply', ten))]);
  });

  test('there is no role 3, and no question for it', () => {
    expect(refused(() => from10(role('nx_role_request', 3))).code).toBe('FC_OF_ROLE_REQUEST_FAILED_BAD_ROLE');
    expect(refused(() => dialect().encode({ type: 'role_request', role: 0 })).message).toContain('role');
  });

  test('asking for the formats of 1.0 changes nothing; others are an experimenter’s', () => {
    expect(from10({ type: 'nx_set_flow_format', format: 0 })).toEqual([]);
    expect(from10({ type: 'nx_set_packet_in_format', format: 0 })).toEqual([]);
    expect(from10({ type: 'nx_flow_mod_table_id', set: 0 })).toEqual([]);
    expect(from10({ type: 'nx_set_flow_format', xid, format: 2 })).toEqual([
      { type: 'experimenter', xid, experimenter: 0x2320, exp_type: 12, data: Uint8Array.of(0, 0, 0, 2) },
    ]);
  });

  test('its statistics are an experimenter’s', () => {
    const body = { type: 'nx_flow_monitor', monitors: [] } as const;
    const bytes = v10.encode({ type: 'stats_request', xid, body });
    const [message] = dialect().decode(bytes);
    expect(message).toMatchObject({
      type: 'multipart_request',
      xid,
      body: { experimenter: 0x2320, exp_type: 2 },
    });
    expect(dialect().encode(message)).toEqual([bytes]);
  });

  test('a malformed message is refused with the names of 1.3', () => {
    const bytes = v10.encode({ type: 'stats_request', xid, body: { type: 'desc' } });
    bytes[9] = 99;
    expect(refused(() => dialect().decode(bytes)).code).toBe('FC_OF_BAD_REQUEST_BAD_MULTIPART');
  });

  test('a vendor without a type is not known', () => {
    const message = { type: 'vendor', vendor: 1, data: new Uint8Array(3) } as const;
    expect(refused(() => from10(message)).code).toBe('FC_OF_BAD_REQUEST_BAD_EXPERIMENTER');
  });
});
