import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { scheduleName } from '../../src/schedule/plan.ts';
import {
  formatEvery,
  formatTime,
  isDue,
  jitterMaxSec,
  nextMinute,
  nextTime,
  parseDuration,
  parseEvery,
  parseRhythm,
  parseTime,
  pollMinutes,
  pollPhases,
} from '../../src/schedule/rhythm.ts';

const MINUTE_MS = 60_000;
const every = fc.integer({ min: 1, max: (31 * 24 * 60) / 5 }).map((steps) => steps * 5);

describe('the text form', () => {
  it('intervals', () => {
    fc.assert(
      fc.property(every, (minutes) => {
        expect(parseEvery(formatEvery(minutes))).toBe(minutes);
      }),
    );
    expect([parseEvery('15m'), parseEvery('1h'), parseEvery('2w')]).toEqual([15, 60, 20_160]);
    for (const text of [
      '',
      '0h',
      '7m',
      '1',
      'h',
      '-1h',
      '1.5h',
      '1h30m',
      '32d',
      '1 h',
      '999999m',
    ]) {
      expect(() => parseEvery(text), text).toThrow(
        expect.objectContaining({ code: 'every-invalid' }),
      );
    }
  });

  it('times of day', () => {
    const time = fc.record({
      hour: fc.integer({ min: 0, max: 23 }),
      minute: fc.integer({ min: 0, max: 59 }),
    });
    fc.assert(
      fc.property(time, (one) => {
        expect(parseTime(formatTime(one))).toEqual(one);
      }),
    );
    for (const text of ['', '24:00', '2:60', '230', '02:3', '02:30:00', '-1:00']) {
      expect(() => parseTime(text), text).toThrow(expect.objectContaining({ code: 'at-invalid' }));
    }
  });

  it('durations and rhythms', () => {
    expect([parseDuration('0m', '--wait'), parseDuration('26h', '--wait')]).toEqual([0, 1560]);
    expect(() => parseDuration('soon', '--jitter')).toThrow(
      expect.objectContaining({
        code: 'duration-invalid',
        message: "--jitter: 'soon' is not a duration",
      }),
    );
    expect(parseRhythm(undefined, [])).toBeUndefined();
    expect(parseRhythm(undefined, ['14:00', '2:30', '02:30'])).toEqual({
      kind: 'at',
      times: [
        { hour: 2, minute: 30 },
        { hour: 14, minute: 0 },
      ],
    });
    expect(() => parseRhythm('1h', ['02:30'])).toThrow(
      expect.objectContaining({ code: 'conflicting-options' }),
    );
  });
});

describe('when a push is due', () => {
  it('with --every, whatever the delays: never skipped, never twice', () => {
    const delays = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), {
      minLength: 50,
      maxLength: 50,
    });
    fc.assert(
      fc.property(every, delays, (minutes, chances) => {
        const rhythm = { kind: 'every', minutes } as const;
        const poll = pollMinutes(minutes);
        const perPeriod = minutes / poll;
        let lastMs: number | undefined;
        const pushedAt: number[] = [];
        for (let question = 0; question <= perPeriod * 5; question++) {
          const delayMs = (chances[question % chances.length] ?? 0) * jitterMaxSec(rhythm) * 1000;
          const nowMs = 1e12 + question * poll * MINUTE_MS + delayMs;
          if (!isDue(rhythm, { lastMs, nowMs })) continue;
          lastMs = nowMs;
          pushedAt.push(question);
        }
        expect(pushedAt).toEqual([0, 1, 2, 3, 4, 5].map((period) => period * perPeriod));
      }),
      { numRuns: 60 },
    );
  });

  it('with --every, after a failure or a night: at the next check', () => {
    const rhythm = { kind: 'every', minutes: 1440 } as const;
    const lastMs = Date.UTC(2026, 2, 1, 10, 7);
    expect(isDue(rhythm, { lastMs, nowMs: lastMs + 23 * 60 * MINUTE_MS })).toBe(false);
    expect(isDue(rhythm, { lastMs, nowMs: lastMs + 25 * 60 * MINUTE_MS })).toBe(true);
    expect(isDue(rhythm, { lastMs: undefined, nowMs: lastMs })).toBe(true);
    expect(isDue(rhythm, { lastMs: lastMs + 1, nowMs: lastMs }), 'clock set back').toBe(true);
  });

  it('with --at, once for each time that has come', () => {
    const rhythm = parseRhythm(undefined, ['02:30', '14:00']);
    if (rhythm === undefined) throw new Error('no rhythm');
    const local = (day: number, hour: number, minute: number): number =>
      new Date(2026, 2, day, hour, minute).getTime();
    const cases: readonly (readonly [number, number, boolean])[] = [
      [local(1, 2, 30), local(1, 13, 59), false],
      [local(1, 2, 29), local(1, 2, 30), true],
      [local(1, 14, 1), local(2, 2, 29), false],
      [local(1, 13, 0), local(2, 2, 0), true],
      [local(1, 14, 0), local(5, 9, 0), true],
    ];
    for (const [lastMs, nowMs, due] of cases) expect(isDue(rhythm, { lastMs, nowMs })).toBe(due);
  });

  it('is checked at minutes that divide the hour, fixed for each vault', () => {
    expect([5, 15, 45, 60, 90, 1440].map(pollMinutes)).toEqual([5, 15, 15, 60, 30, 60]);
    expect(pollPhases(15, 52)).toEqual([7, 22, 37, 52]);
    expect(pollPhases(1440, 52)).toEqual([52]);
  });

  it('next', () => {
    const nowMs = new Date(2026, 2, 1, 23, 50).getTime();
    expect(nextMinute([7, 52], nowMs)).toBe(new Date(2026, 2, 1, 23, 52).getTime());
    expect(nextMinute([7, 50], nowMs)).toBe(new Date(2026, 2, 2, 0, 7).getTime());
    expect(nextTime([{ hour: 2, minute: 30 }], nowMs)).toBe(new Date(2026, 2, 2, 2, 30).getTime());
  });
});

it('names keep vaults apart and are plain', () => {
  const names = [
    scheduleName('My Photos 2026!', '/a/.ecsync'),
    scheduleName('My Photos 2026!', '/b/.ecsync'),
    scheduleName('写真', '/c/.ecsync'),
    scheduleName('x'.repeat(300), '/d/.ecsync'),
  ];
  expect(new Set(names).size).toBe(4);
  for (const name of names) expect(name).toMatch(/^([a-z0-9][a-z0-9-]{0,23}-)?[0-9a-f]{10}$/);
});
