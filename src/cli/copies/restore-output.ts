/** Output of a restore: its progress, its summary and its statistics. */
import type { RestoreProgress, RestoreSummary } from '../../sync/restore/restore-settings.ts';
import { shownBytes, shownCount } from '../../library/figures.ts';
import type { Output } from '../terminal/output.ts';
import { PacedStatus } from '../terminal/paced-status.ts';
import { progressText } from '../terminal/render-progress.ts';
import { elapsedRow, statsRows, wireRows } from '../terminal/render-summary.ts';
import { fitEnd } from '../terminal/terminal.ts';

/** The last line of a restore, as text. */
export function restoreText(summary: RestoreSummary, target: string, dryRun: boolean): string {
  const { filesRestored, filesTotal, filesKept, renamed, bytesReceived, elapsedMs } = summary;
  const more = [
    ...(filesKept > 0
      ? [`, ${shownCount(filesKept)} left as ${filesKept === 1 ? 'it is' : 'they are'}`]
      : []),
    ...(renamed > 0 ? [`, ${shownCount(renamed)} under another name`] : []),
  ].join('');
  if (dryRun) {
    return `dry run, nothing was written to ${target}: ${shownCount(filesTotal)} looked at${more}`;
  }
  const seconds = (elapsedMs / 1000).toFixed(1);
  return `restored to ${target}: content of ${shownCount(filesRestored)} files, of ${shownCount(filesTotal)} objects${more}; ${shownBytes(bytesReceived)} received in ${seconds} s`;
}

/** The block of `--stats` of a restore. */
export function restoreStatsLines(summary: RestoreSummary): readonly string[] {
  return statsRows([
    ['files, folders and links', shownCount(summary.filesTotal)],
    ['fetched', shownCount(summary.filesRestored)],
    ['left as they are', shownCount(summary.filesKept)],
    ['under another name', shownCount(summary.renamed)],
    ['damaged', shownCount(summary.damaged)],
    ...wireRows(summary),
    elapsedRow(summary.elapsedMs),
  ]);
}

/** The fields of the JSON summary that only a restore has. */
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

/** Shows the progress of a restore. */
export class RestoreProgressReport {
  readonly #status: PacedStatus;

  /** @param wanted - `--progress`: show it without a status line too */
  constructor(out: Output, wanted: boolean) {
    this.#status = new PacedStatus(out, wanted);
  }

  show(progress: RestoreProgress): void {
    const { stage, filesTotal } = progress;
    this.#status.show(progress, (columns, rate) => {
      if (stage === 'fetch') return progressText({ ...progress, stage: 'send' }, rate(), columns);
      const count = filesTotal > 0 ? `: ${shownCount(filesTotal)}` : '';
      return fitEnd(`listing the copy${count}`, columns);
    });
  }
}
