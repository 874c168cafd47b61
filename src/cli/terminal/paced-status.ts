/** Shows the progress of long work at a limited rate, in a form that fits the output. */
import { performance } from 'node:perf_hooks';
import type { Output } from './output.ts';
import { jsonPath } from './render-item.ts';
import { columnsOf, fitEnd, shown } from './terminal.ts';

/** Minimum time between two status lines, JSON events, and lines of `--progress` in a log. */
const STATUS_EVERY_MS = 100;
const EVENT_EVERY_MS = 500;
const LINE_EVERY_MS = 5000;
/** Width of a line in a log. */
const LINE_COLUMNS = 200;

/** Average byte rate of the last seconds. */
class Rate {
  #samples: { readonly atMs: number; readonly bytes: number }[] = [];

  /** @returns bytes a second; undefined if there is too little data */
  add(atMs: number, bytes: number): number | undefined {
    this.#samples.push({ atMs, bytes });
    while ((this.#samples[1]?.atMs ?? Infinity) < atMs - 5000) this.#samples.shift();
    if (this.#samples.length > 256) this.#samples = this.#samples.filter((_, i) => i % 2 === 0);
    const first = this.#samples[0];
    if (first === undefined || atMs - first.atMs < 200) return undefined;
    return Math.max(0, bytes - first.bytes) / ((atMs - first.atMs) / 1000);
  }
}

/** Progress of long work of any kind. */
export interface WorkProgress {
  readonly bytesDone: number;
  /** Path of the current object. */
  readonly current?: Uint8Array;
}

/** Shows the progress of long work at a limited rate, in a form that fits the output. */
export class PacedStatus {
  readonly #out: Output;
  readonly #now: () => number;
  readonly #everyMs: number;
  readonly #rate = new Rate();
  #lastMs = -Infinity;

  /**
   * @param wanted - `--progress`: show it without a status line too
   * @param now - a clock in milliseconds
   */
  constructor(out: Output, wanted: boolean, now: () => number = () => performance.now()) {
    this.#out = out;
    this.#now = now;
    if (out.mode.statusLine) this.#everyMs = STATUS_EVERY_MS;
    else if (!wanted) this.#everyMs = Infinity;
    else this.#everyMs = out.mode.json ? EVENT_EVERY_MS : LINE_EVERY_MS;
  }

  /** Makes the next {@link show} print, however soon it comes. */
  hurry(): void {
    this.#lastMs = -Infinity;
  }

  /**
   * @param standing - the event for `--json`
   * @param textOf - the same as one line; `rate` records the bytes done and returns bytes a second
   */
  show(
    standing: WorkProgress,
    textOf: (columns: number, rate: () => number | undefined) => string,
  ): void {
    if (this.#everyMs === Infinity) return;
    const nowMs = this.#now();
    if (nowMs - this.#lastMs < this.#everyMs) return;
    this.#lastMs = nowMs;
    const { mode, columns } = this.#out;
    const rate = (): number | undefined => this.#rate.add(nowMs, standing.bytesDone);
    if (mode.statusLine) {
      // The last column stays free: some terminals wrap when it is written.
      this.#out.status(textOf(columns - 1, rate));
    } else if (mode.json) {
      const { current, ...figures } = standing;
      const path = current === undefined ? {} : jsonPath('current', current);
      this.#out.event({ type: 'progress', ...figures, ...path });
    } else {
      this.#out.note(textOf(LINE_COLUMNS, rate));
    }
  }
}

/** A status line: as many figures as fit, then the current path in the remaining room. */
export function withCurrent(
  parts: readonly string[],
  current: Uint8Array | undefined,
  columns: number,
): string {
  const figures = parts.join('  ');
  if (columnsOf(figures) > columns && parts.length > 1) {
    return withCurrent(parts.slice(0, -1), undefined, columns);
  }
  const room = columns - columnsOf(figures) - 2;
  if (current === undefined || room < 8) return fitEnd(figures, columns);
  return `${figures}  ${fitEnd(shown(current), room)}`;
}
