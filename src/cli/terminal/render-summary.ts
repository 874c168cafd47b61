/** The summary and the statistics of a push, as text and as JSON. */
import type { PushFigures, PushSummary } from '../../sync/push/source/push-settings.ts';
import { shownBytes, shownCount } from '../../library/figures.ts';
import { jsonPath } from './render-item.ts';
import { shown } from './terminal.ts';

/** The last line of a push, as text. */
export function summaryText(
  summary: PushSummary,
  shownDestination: string,
  dryRun: boolean,
): string {
  const { filesSent, filesDeleted, filesTotal, bytesSent, elapsedMs } = summary;
  const seconds = (elapsedMs / 1000).toFixed(1);
  const deleted = filesDeleted > 0 ? `, ${shownCount(filesDeleted)} deleted` : '';
  const counts = `${shownCount(filesSent)} of ${shownCount(filesTotal)} sent${deleted}`;
  if (dryRun) return `dry run, nothing was changed at ${shownDestination}: ${counts}`;
  return `pushed to ${shownDestination}: ${counts}; ${shownBytes(bytesSent)} over the wire in ${seconds} s`;
}

/** The block of `--stats`: names and figures in two columns. */
export function statsRows(rows: readonly (readonly [string, string])[]): readonly string[] {
  return rows.map(([name, value]) => `${`${name}:`.padEnd(26)} ${value}`);
}

/** The traffic and duration of a run. */
interface WireFigures {
  readonly totalBytes: number;
  readonly literalBytes: number;
  readonly matchedBytes: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
}

/** The rows of `--stats` that every run has. */
export function wireRows(figures: WireFigures): readonly (readonly [string, string])[] {
  return [
    ['total size', `${shownCount(figures.totalBytes)} bytes`],
    ['literal data', `${shownCount(figures.literalBytes)} bytes`],
    ['matched data', `${shownCount(figures.matchedBytes)} bytes`],
    ['bytes sent', shownCount(figures.bytesSent)],
    ['bytes received', shownCount(figures.bytesReceived)],
  ];
}

/** The last row of `--stats`. */
export function elapsedRow(elapsedMs: number): readonly [string, string] {
  return ['elapsed', `${(elapsedMs / 1000).toFixed(2)} s`];
}

/** The block of `--stats` of a push. */
export function statsLines(summary: PushFigures): readonly string[] {
  return statsRows([
    ['files, folders and links', shownCount(summary.filesTotal)],
    ['sent', shownCount(summary.filesSent)],
    ['deleted', shownCount(summary.filesDeleted)],
    ...wireRows(summary),
    ['rsync runs', shownCount(summary.runs)],
    elapsedRow(summary.elapsedMs),
  ]);
}

/** The lines of `--top`: `  12.3 MiB  photos/a.jpg`. */
export function largestLines(largest: PushSummary['largest']): readonly string[] {
  if (largest.length === 0) return [];
  const lines = largest.map(
    ({ path, bytes }) => `${shownBytes(bytes).padStart(11)}  ${shown(path)}`,
  );
  return ['largest uploads:', ...lines];
}

/** The same in the JSON summary. */
export function largestFigures(
  largest: PushSummary['largest'],
): readonly Readonly<Record<string, string | number>>[] {
  return largest.map(({ path, bytes }) => ({ ...jsonPath('path', path), bytes }));
}

/** The fields of the JSON summary that only a push has. */
export function pushFigures(summary: PushFigures): Readonly<Record<string, number>> {
  const { filesTotal, filesSent, filesDeleted, filesKept, literalBytes, matchedBytes } = summary;
  const { bytesSent, bytesReceived, elapsedMs, totalBytes, runs } = summary;
  return {
    filesTotal,
    filesSent,
    filesDeleted,
    filesKept,
    literalBytes,
    matchedBytes,
    bytesSent,
    bytesReceived,
    elapsedMs,
    totalBytes,
    runs,
  };
}

/** The figures of a push that failed before it counted anything. */
export const NO_FIGURES: Readonly<Record<string, number>> = {
  filesTotal: 0,
  filesSent: 0,
  filesDeleted: 0,
  filesKept: 0,
  literalBytes: 0,
  matchedBytes: 0,
  bytesSent: 0,
  bytesReceived: 0,
};
