/** Goal: a peer is given up by its silence or its lack of progress, and by nothing else. Method: a clock of our own. */
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

/** A peer whose counters the test moves. */
function watched({ silenceMs = SILENCE_MS } = {}) {
  const peer = { isDue: true, life: 0, progress: 0 };
  const verdicts: PeerVerdict[] = [];
  const watch = new PeerWatch(
    { silenceMs: () => silenceMs, stagnationMs: () => STAGNATION_MS },
    { isDue: () => peer.isDue, life: () => peer.life, progress: () => peer.progress },
    (verdict) => verdicts.push(verdict),
  );
  /** Lets time pass, with something done every 100 ms. */
  const pass = (timeMs: number, step: () => void = () => undefined): void => {
    for (let at = 0; at < timeMs; at += 100) {
      step();
      vi.advanceTimersByTime(100);
    }
  };
  return { peer, verdicts, watch, pass };
}

describe('a peer', () => {
  it('that is silent is given up after that time, once', () => {
    const { verdicts, pass } = watched();
    pass(SILENCE_MS - 100);
    expect(verdicts).toEqual([]);
    pass(5 * SILENCE_MS);
    expect(verdicts).toEqual([{ why: 'silent', afterMs: SILENCE_MS }]);
  });

  it('that goes on is never given up', () => {
    const { peer, verdicts, pass } = watched();
    pass(20 * STAGNATION_MS, () => {
      peer.life++;
      peer.progress++;
    });
    expect(verdicts).toEqual([]);
  });

  it('that only says it is alive is given up, too, but later', () => {
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

  it('of which nothing is expected may be silent', () => {
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

  it('is waited for anew after a sleep of this machine', () => {
    const { verdicts, pass } = watched();
    pass(100);
    const before = performance.now.bind(performance);
    vi.spyOn(performance, 'now').mockImplementation(() => before() + 3_600_000);
    pass(SILENCE_MS / 2);
    expect(verdicts).toEqual([]);
    pass(SILENCE_MS);
    expect(verdicts).toHaveLength(1);
  });

  it('without a limit is waited for for ever, and nobody is told after the end', () => {
    const endless = watched({ silenceMs: Infinity });
    endless.pass(100 * STAGNATION_MS);
    expect(endless.verdicts).toEqual([]);
    const ended = watched();
    ended.watch.end();
    ended.pass(10 * STAGNATION_MS);
    expect(ended.verdicts).toEqual([]);
  });
});
