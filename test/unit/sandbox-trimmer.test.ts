import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Trimmer } from '../../sandbox/host/trimmer.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const setUp = () => {
  const trim = vi.fn();
  const trimmer = new Trimmer(trim);
  const end = (count: number) => {
    for (let i = 0; i < count; i++) trimmer.ended();
  };
  return { trim, end };
};

test('memory is given back once, when many cells have ended and none does any more', () => {
  const { trim, end } = setUp();
  end(100);
  for (let i = 0; i < 10; i++) {
    vi.advanceTimersByTime(1500);
    end(1);
  }
  expect(trim).not.toHaveBeenCalled();
  vi.advanceTimersByTime(4000);
  expect(trim).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(60_000);
  expect(trim).toHaveBeenCalledTimes(1);
  end(100);
  vi.advanceTimersByTime(4000);
  expect(trim).toHaveBeenCalledTimes(2);
});

test('a few cells now and then are not worth it, until they are many', () => {
  const { trim, end } = setUp();
  for (let i = 0; i < 31; i++) {
    end(1);
    vi.advanceTimersByTime(10_000);
  }
  expect(trim).not.toHaveBeenCalled();
  end(1);
  vi.advanceTimersByTime(4000);
  expect(trim).toHaveBeenCalledTimes(1);
});
