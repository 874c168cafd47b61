import type { PushProgress } from '../sync/push-settings.ts';
import { shownBytes, shownCount, shownDuration } from './figures.ts';
import type { Output } from './output.ts';
import { jsonPath } from './render-item.ts';
import { columnsOf, fitEnd, shown } from './terminal.ts';

/** Least time between two status lines, JSON events, and lines of `--progress` in a log. */
const STATUS_EVERY_MS = 100;
const EVENT_EVERY_MS = 500;
const LINE_EVERY_MS = 5000;

const STAGES: Readonly<Record<PushProgress['stage'], string>> = {
  scan: 'looking at the files',
  connect: 'connecting',
  compare: 'comparing',
  send: 'sending',
  delete: 'deleting',
  finish: 'finishing',
};

/** How fast bytes were handled, over the last seconds rather than from the start. */
export class Rate {
  #samples: { readonly atMs: number; readonly bytes: number }[] = [];

  /** @returns bytes a second; undefined as long as there is too little to tell */
  add(atMs: number, bytes: number): number | undefined {
    this.#samples.push({ atMs, bytes });
    while ((this.#samples[1]?.atMs ?? Infinity) < atMs - 5000) this.#samples.shift();
    if (this.#samples.length > 256) this.#samples = this.#samples.filter((_, i) => i % 2 === 0);
    const first = this.#samples[0];
    if (first === undefined || atMs - first.atMs < 200) return undefined;
    return Math.max(0, bytes - first.bytes) / ((atMs - first.atMs) / 1000);
  }
}

/** One line: share done, files, bytes, rate, time left, and the current name in what room is left. */
export function progressText(
  progress: PushProgress,
  rate: number | undefined,
  columns: number,
): string {
  const { stage, filesDone, filesTotal, bytesDone, bytesTotal, current } = progress;
  if (stage !== 'send' && stage !== 'compare') {
    const count = filesTotal > 0 ? `: ${shownCount(filesTotal)}` : '';
    return fitEnd(`${STAGES[stage]}${count}`, columns);
  }
  const share = bytesTotal > 0 ? Math.floor((100 * bytesDone) / bytesTotal) : 100;
  const left = rate !== undefined && rate > 0 ? (bytesTotal - bytesDone) / rate : undefined;
  const figures = [
    `${Math.min(share, 100)}%`,
    `${shownCount(filesDone)}/${shownCount(filesTotal)} files`,
    `${shownBytes(bytesDone)}/${shownBytes(bytesTotal)}`,
    ...(rate === undefined ? [] : [`${shownBytes(rate)}/s`]),
    ...(left === undefined || left > 359_999 ? [] : [`ETA ${shownDuration(left)}`]),
  ].join('  ');
  const room = columns - columnsOf(figures) - 2;
  if (current === undefined || room < 8) return fitEnd(figures, columns);
  return `${figures}  ${fitEnd(shown(current), room)}`;
}

/** Shows progress in the form that fits where the output goes, and not more often than is useful. */
export class ProgressReport {
  readonly #out: Output;
  readonly #now: () => number;
  readonly #everyMs: number;
  readonly #rate = new Rate();
  #lastMs = -Infinity;
  #lastStage = '';

  /**
   * @param wanted - `--progress`: also where there is no status line
   * @param now - a clock in milliseconds
   */
  constructor(out: Output, wanted: boolean, now: () => number) {
    this.#out = out;
    this.#now = now;
    if (out.mode.statusLine) this.#everyMs = STATUS_EVERY_MS;
    else if (!wanted) this.#everyMs = Infinity;
    else this.#everyMs = out.mode.json ? EVENT_EVERY_MS : LINE_EVERY_MS;
  }

  show(progress: PushProgress): void {
    if (progress.stage !== this.#lastStage) {
      this.#lastStage = progress.stage;
      this.#out.detail(`${STAGES[progress.stage]} …`);
      if (this.#everyMs !== Infinity) this.#lastMs = -Infinity;
    }
    const nowMs = this.#now();
    if (this.#everyMs === Infinity || nowMs - this.#lastMs < this.#everyMs) return;
    this.#lastMs = nowMs;
    const isMoving = progress.stage === 'send' || progress.stage === 'compare';
    const rate = isMoving ? this.#rate.add(nowMs, progress.bytesDone) : undefined;
    if (this.#out.mode.statusLine) {
      // The last column stays free: some terminals wrap when it is written.
      this.#out.status(progressText(progress, rate, this.#out.columns - 1));
    } else if (this.#out.mode.json) {
      const { current, ...figures } = progress;
      this.#out.event({
        type: 'progress',
        ...figures,
        ...(current === undefined ? {} : jsonPath('current', current)),
      });
    } else {
      this.#out.note(progressText(progress, rate, 200));
    }
  }
}
