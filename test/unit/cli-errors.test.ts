import { expect, test } from 'vitest';
import { explain, UserError } from '../../cli/lib/errors.ts';

const coded = (code: string, message: string) => Object.assign(new Error(message), { code });

test("a user's mistake is exit code 2 and only its sentence", () => {
  expect(explain(new UserError('FC_X', 'do this.'))).toEqual({ sentence: 'do this.', exitCode: 2 });
  expect(explain(coded('FC_PORT_NOT_FOUND', 'no eth9'))).toEqual({ sentence: 'no eth9', exitCode: 2 });
});

test('what went wrong otherwise is exit code 1', () => {
  expect(explain(coded('FC_LISTEN', 'port 1 is taken'))).toEqual({
    sentence: 'port 1 is taken',
    exitCode: 1,
  });
  expect(explain(coded('EADDRINUSE', 'listen'))).toMatchObject({
    sentence: expect.stringContaining('choose another port'),
    exitCode: 1,
  });
  expect(explain('thrown text')).toEqual({ sentence: 'thrown text', exitCode: 1 });
});

test('a defect shows where it is', () => {
  const { sentence, exitCode } = explain(new TypeError('x is not a function'));
  expect(sentence).toMatch(/x is not a function\n +at /);
  expect(exitCode).toBe(1);
});
