/** The one rule for waiting for a peer: how long it may be silent, and how long merely alive. */

/** What a peer is watched by: counters that only grow. */
export interface PeerSigns {
  /** False while nothing is expected of the peer; then no time counts. */
  isDue(): boolean;
  /** Grows with every sign of life: a byte that came, a byte that was taken. */
  life(): number;
  /** Grows when the work goes on. A keep-alive is life, but no progress. */
  progress(): number;
}

/** How long a peer is waited for, in milliseconds; Infinity: for ever. */
export interface PeerLimits {
  /** Without a sign of life. It may change while the watch runs. */
  silenceMs(): number;
  /** With signs of life and no progress. Asked when it matters, so that it may take time to work out. */
  stagnationMs(): number;
}

/** Why a peer was given up. */
export interface PeerVerdict {
  readonly why: 'silent' | 'stagnant';
  /** How long it was waited for. */
  readonly afterMs: number;
}

/** So often, or eight times within a shorter limit, the counters are compared. */
const INTERVAL_MS_MAX = 1000;
const INTERVAL_MS_MIN = 10;
const LOOKS_PER_LIMIT = 8;

/**
 * Watches a peer and gives it up once. Time in which this process does not run does not count, such as
 * the sleep of a laptop: it is added up from looks, and no look counts for more than two intervals.
 */
export class PeerWatch {
  readonly #limits: PeerLimits;
  readonly #signs: PeerSigns;
  readonly #onExpired: (verdict: PeerVerdict) => void;
  readonly #intervalMs: number;
  readonly #timer: NodeJS.Timeout;
  #lookedAtMs = performance.now();
  #silentMs = 0;
  #stagnantMs = 0;
  #life: number;
  #progress: number;

  /** Starts at once. */
  constructor(limits: PeerLimits, signs: PeerSigns, onExpired: (verdict: PeerVerdict) => void) {
    this.#limits = limits;
    this.#signs = signs;
    this.#onExpired = onExpired;
    this.#life = signs.life();
    this.#progress = signs.progress();
    this.#intervalMs = Math.max(
      INTERVAL_MS_MIN,
      Math.min(limits.silenceMs() / LOOKS_PER_LIMIT, INTERVAL_MS_MAX),
    );
    this.#timer = setInterval(() => this.#look(), this.#intervalMs);
  }

  /** How long there was no sign of life while one was due. */
  get silentMs(): number {
    return this.#silentMs;
  }

  /** Ends it without effect; idempotent. */
  end(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const nowMs = performance.now();
    const passedMs = Math.min(nowMs - this.#lookedAtMs, 2 * this.#intervalMs);
    this.#lookedAtMs = nowMs;
    const isDue = this.#signs.isDue();
    this.#silentMs = isDue && !this.#hasLived() ? this.#silentMs + passedMs : 0;
    this.#stagnantMs = isDue && !this.#hasProgressed() ? this.#stagnantMs + passedMs : 0;
    const silenceMs = this.#limits.silenceMs();
    if (this.#silentMs >= silenceMs) {
      this.#expire({ why: 'silent', afterMs: silenceMs });
    } else if (this.#stagnantMs > silenceMs) {
      const stagnationMs = this.#limits.stagnationMs();
      if (this.#stagnantMs >= stagnationMs) {
        this.#expire({ why: 'stagnant', afterMs: stagnationMs });
      }
    }
  }

  #expire(verdict: PeerVerdict): void {
    this.end();
    this.#onExpired(verdict);
  }

  #hasLived(): boolean {
    const before = this.#life;
    this.#life = this.#signs.life();
    return this.#life !== before;
  }

  #hasProgressed(): boolean {
    const before = this.#progress;
    this.#progress = this.#signs.progress();
    return this.#progress !== before;
  }
}
