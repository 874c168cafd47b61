import type { RestoreProgress, RestoreSummary } from '../sync/restore-settings.ts';
import { shownBytes, shownCount } from './figures.ts';
import type { Output } from './output.ts';
import { jsonPath } from './render-item.ts';
import { progressText, Rate } from './render-progress.ts';
import { fitEnd } from './terminal.ts';

/** Least time between two status lines, JSON events, and lines of `--progress` in a log. */
const STATUS_EVERY_MS = 100;
const EVENT_EVERY_MS = 500;
const LINE_EVERY_MS = 5000;

/** The last line of a restore for people. */
export function restoreText(summary: RestoreSummary, target: string, dryRun: boolean): string {
  const { filesRestored, filesTotal, filesKept, renamed, bytesReceived, elapsedMs } = summary;
  const more = [
    ...(filesKept > 0 ? [`, ${shownCount(filesKept)} left as they are`] : []),
    ...(renamed > 0 ? [`, ${shownCount(renamed)} under another name`] : []),
  ].join('');
  if (dryRun) {
    return `dry run, nothing was written to ${target}: ${shownCount(filesTotal)} looked at${more}`;
  }
  const seconds = (elapsedMs / 1000).toFixed(1);
  return `restored to ${target}: content of ${shownCount(filesRestored)} files, of ${shownCount(filesTotal)} objects${more}; ${shownBytes(bytesReceived)} received in ${seconds} s`;
}

/** The block of `--stats`. */
export function restoreStatsLines(summary: RestoreSummary): readonly string[] {
  const rows: readonly (readonly [string, string])[] = [
    ['files, folders and links', shownCount(summary.filesTotal)],
    ['fetched', shownCount(summary.filesRestored)],
    ['left as they are', shownCount(summary.filesKept)],
    ['under another name', shownCount(summary.renamed)],
    ['damaged', shownCount(summary.damaged)],
    ['total size', `${shownCount(summary.totalBytes)} bytes`],
    ['literal data', `${shownCount(summary.literalBytes)} bytes`],
    ['matched data', `${shownCount(summary.matchedBytes)} bytes`],
    ['bytes sent', shownCount(summary.bytesSent)],
    ['bytes received', shownCount(summary.bytesReceived)],
    ['elapsed', `${(summary.elapsedMs / 1000).toFixed(2)} s`],
  ];
  return rows.map(([name, value]) => `${`${name}:`.padEnd(26)} ${value}`);
}

/** The fields of the JSON summary that are a restore's own. */
export function restoreFigures(summary: RestoreSummary): Readonly<Record<string, number>> {
  const { filesTotal, filesRestored, filesKept, damaged, renamed } = summary;
  const { literalBytes, matchedBytes, bytesSent, bytesReceived, elapsedMs, totalBytes } = summary;
  return {
    filesTotal,
    filesRestored,
    filesKept,
    damaged,
    renamed,
    literalBytes,
    matchedBytes,
    bytesSent,
    bytesReceived,
    elapsedMs,
    totalBytes,
  };
}

/** Shows progress in the form that fits where the output goes, and not more often than is useful. */
export class RestoreProgressReport {
  readonly #out: Output;
  readonly #everyMs: number;
  readonly #rate = new Rate();
  #lastMs = -Infinity;

  /** @param wanted - `--progress`: also where there is no status line */
  constructor(out: Output, wanted: boolean) {
    this.#out = out;
    if (out.mode.statusLine) this.#everyMs = STATUS_EVERY_MS;
    else if (!wanted) this.#everyMs = Infinity;
    else this.#everyMs = out.mode.json ? EVENT_EVERY_MS : LINE_EVERY_MS;
  }

  show(progress: RestoreProgress): void {
    if (this.#everyMs === Infinity) return;
    const nowMs = performance.now();
    if (nowMs - this.#lastMs < this.#everyMs) return;
    this.#lastMs = nowMs;
    const { mode, columns } = this.#out;
    if (mode.json) {
      const { current, ...figures } = progress;
      const path = current === undefined ? {} : jsonPath('current', current);
      this.#out.event({ type: 'progress', ...figures, ...path });
    } else if (mode.statusLine) {
      // The last column stays free: some terminals wrap when it is written.
      this.#out.status(this.#text(progress, nowMs, columns - 1));
    } else {
      this.#out.note(this.#text(progress, nowMs, 200));
    }
  }

  #text(progress: RestoreProgress, nowMs: number, columns: number): string {
    const { stage, filesTotal, bytesDone } = progress;
    if (stage === 'fetch') {
      return progressText(
        { ...progress, stage: 'send' },
        this.#rate.add(nowMs, bytesDone),
        columns,
      );
    }
    const count = filesTotal > 0 ? `: ${shownCount(filesTotal)}` : '';
    return fitEnd(`listing the copy${count}`, columns);
  }
}
