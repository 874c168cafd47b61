/**
 * Goal: nothing hangs. Method: conversations that stall at a few points. The campaign tries all
 * points.
 */
import { expect, inject, it } from 'vitest';
import { runStallSweep, type SweepOptions } from '../support/stall-sweep.ts';

function endsOf(options: Partial<SweepOptions>): Promise<string[]> {
  return runStallSweep({
    cli: inject('cliPath'),
    step: 1000,
    pointsMax: 2,
    lanes: 6,
    ...options,
  }).then((outcomes) =>
    outcomes
      .filter(({ isReached }) => isReached)
      .map(({ way, afterBytes, code, transport, command }) => {
        return `${command} ${transport} ${way} ${afterBytes}: ${code ?? 'hangs'}`;
      }),
  );
}

it('a connection that stalls ends with 30, at any point and in any direction', async () => {
  const ways = ['up', 'both'] as const;
  const transports = ['ssh', 'daemon'] as const;
  const ends = await endsOf({ timeoutSec: 1, transports, commands: ['push'], ways });
  expect(ends.length).toBeGreaterThan(4);
  expect(ends.filter((end) => !end.endsWith(': 30'))).toEqual([]);
});

it('Ctrl-C ends a connection that has stalled, during the login and after it', async () => {
  const commands = ['push', 'restore', 'ls'] as const;
  const common = { signal: 'SIGINT', timeoutSec: 50, ways: ['both'] } as const;
  const ends = await endsOf({ ...common, transports: ['ssh'], commands });
  expect(ends.length).toBeGreaterThan(4);
  expect(ends.filter((end) => !end.endsWith(': 130'))).toEqual([]);
});
