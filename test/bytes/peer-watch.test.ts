/** Goal: only silence or a lack of progress makes us give up on a peer. Method: a fake clock. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { PeerWatch, type PeerVerdict } from '../../src/bytes/peer-watch.ts';

const SILENCE_MS = 800;
const STAGNATION_MS = 4000;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A peer whose counters the test controls. */
function watched({ silenceMs = SILENCE_MS } = {}) {
  const peer = { isDue: true, life: 0, progress: 0 };
  const verdicts: PeerVerdict[] = [];
  const watch = new PeerWatch(
    { silenceMs: () => silenceMs, stagnationMs: () => STAGNATION_MS },
    { isDue: () => peer.isDue, life: () => peer.life, progress: () => peer.progress },
    (verdict) => verdicts.push(verdict),
  );
  /** Lets time pass and calls a function every 100 ms. */
  const pass = (timeMs: number, step: () => void = () => undefined): void => {
    for (let at = 0; at < timeMs; at += 100) {
      step();
      vi.advanceTimersByTime(100);
    }
  };
  return { peer, verdicts, watch, pass };
}

describe('a peer', () => {
  it('that is silent is given up on once, after the limit', () => {
    const { verdicts, pass } = watched();
    pass(SILENCE_MS - 100);
    expect(verdicts).toEqual([]);
    pass(5 * SILENCE_MS);
    expect(verdicts).toEqual([{ why: 'silent', afterMs: SILENCE_MS }]);
  });

  it('that makes progress is never given up on', () => {
    const { peer, verdicts, pass } = watched();
    pass(20 * STAGNATION_MS, () => {
      peer.life++;
      peer.progress++;
    });
    expect(verdicts).toEqual([]);
  });

  it('that only sends keep-alives is given up on too, but later', () => {
    const { peer, verdicts, pass } = watched();
    const keepAlive = (): void => {
      peer.life++;
    };
    pass(STAGNATION_MS - 200, keepAlive);
    expect(verdicts).toEqual([]);
    peer.progress++;
    pass(STAGNATION_MS - 200, keepAlive);
    expect(verdicts).toEqual([]);
    pass(STAGNATION_MS, keepAlive);
    expect(verdicts).toEqual([{ why: 'stagnant', afterMs: STAGNATION_MS }]);
  });

  it('from which nothing is expected may be silent', () => {
    const { peer, verdicts, pass } = watched();
    peer.isDue = false;
    pass(10 * STAGNATION_MS);
    expect(verdicts).toEqual([]);
    peer.isDue = true;
    pass(SILENCE_MS - 100);
    expect(verdicts).toEqual([]);
    pass(200);
    expect(verdicts).toHaveLength(1);
  });

  it('gets the full time again after this machine has slept', () => {
    const { verdicts, pass } = watched();
    pass(100);
    const before = performance.now.bind(performance);
    vi.spyOn(performance, 'now').mockImplementation(() => before() + 3_600_000);
    pass(SILENCE_MS / 2);
    expect(verdicts).toEqual([]);
    pass(SILENCE_MS);
    expect(verdicts).toHaveLength(1);
  });

  it('without a limit is waited for indefinitely, and nothing is reported after the end', () => {
    const endless = watched({ silenceMs: Infinity });
    endless.pass(100 * STAGNATION_MS);
    expect(endless.verdicts).toEqual([]);
    const ended = watched();
    ended.watch.end();
    ended.pass(10 * STAGNATION_MS);
    expect(ended.verdicts).toEqual([]);
  });
});
