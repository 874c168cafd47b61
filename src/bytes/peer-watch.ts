/** The one watchdog over a peer: it limits silence, and keep-alives without progress. */

/** The signs by which a peer is watched: counters that only grow. */
export interface PeerSigns {
  /** False while nothing is expected from the peer; that time does not count. */
  isDue(): boolean;
  /** Grows with every sign of life: a byte received from the peer or taken by it. */
  life(): number;
  /** Grows when work advances. A keep-alive is a sign of life, but not progress. */
  progress(): number;
}

/** How long to wait for a peer, in milliseconds; Infinity means for ever. */
export interface PeerLimits {
  /** The limit without a sign of life. It may change while the watch runs. */
  silenceMs(): number;
  /**
   * The limit with signs of life and without progress. It is called only when needed, since it may
   * take time to compute.
   */
  stagnationMs(): number;
}

/** Why the watch gave up on a peer. */
export interface PeerVerdict {
  readonly why: 'silent' | 'stagnant';
  /** The limit that was exceeded. */
  readonly afterMs: number;
}

/** The counters are compared at this interval, or eight times within a shorter limit. */
const INTERVAL_MS_MAX = 1000;
const INTERVAL_MS_MIN = 10;
const CHECKS_PER_LIMIT = 8;

/**
 * Watches a peer and reports once that it has given up on it. Time in which this process does not
 * run, such as a laptop's sleep, does not count: no check adds more than two intervals.
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

  /** Starts watching at once. */
  constructor(limits: PeerLimits, signs: PeerSigns, onExpired: (verdict: PeerVerdict) => void) {
    this.#limits = limits;
    this.#signs = signs;
    this.#onExpired = onExpired;
    this.#life = signs.life();
    this.#progress = signs.progress();
    this.#intervalMs = Math.max(
      INTERVAL_MS_MIN,
      Math.min(limits.silenceMs() / CHECKS_PER_LIMIT, INTERVAL_MS_MAX),
    );
    this.#timer = setInterval(() => this.#look(), this.#intervalMs);
  }

  /** How long the peer has given no sign of life while one was due. */
  get silentMs(): number {
    return this.#silentMs;
  }

  /** Stops watching; idempotent. */
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
