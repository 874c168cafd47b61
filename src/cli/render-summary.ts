import type { PushSummary } from '../sync/push-settings.ts';
import { shownBytes, shownCount } from './figures.ts';

/** The last line of a push for people. */
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

/** The block of `--stats`. */
export function statsLines(summary: PushSummary): readonly string[] {
  const rows: readonly (readonly [string, string])[] = [
    ['files, folders and links', shownCount(summary.filesTotal)],
    ['sent', shownCount(summary.filesSent)],
    ['deleted', shownCount(summary.filesDeleted)],
    ['total size', `${shownCount(summary.totalBytes)} bytes`],
    ['literal data', `${shownCount(summary.literalBytes)} bytes`],
    ['matched data', `${shownCount(summary.matchedBytes)} bytes`],
    ['bytes sent', shownCount(summary.bytesSent)],
    ['bytes received', shownCount(summary.bytesReceived)],
    ['rsync runs', shownCount(summary.runs)],
    ['elapsed', `${(summary.elapsedMs / 1000).toFixed(2)} s`],
  ];
  return rows.map(([name, value]) => `${`${name}:`.padEnd(26)} ${value}`);
}

/** The fields of the JSON summary that are a push's own. */
export function pushFigures(summary: PushSummary): Readonly<Record<string, number>> {
  const { filesTotal, filesSent, filesDeleted, literalBytes, matchedBytes } = summary;
  const { bytesSent, bytesReceived, elapsedMs, totalBytes, runs } = summary;
  return {
    filesTotal,
    filesSent,
    filesDeleted,
    literalBytes,
    matchedBytes,
    bytesSent,
    bytesReceived,
    elapsedMs,
    totalBytes,
    runs,
  };
}

/** What a push that never came to counting reports. */
export const NO_FIGURES: Readonly<Record<string, number>> = {
  filesTotal: 0,
  filesSent: 0,
  filesDeleted: 0,
  literalBytes: 0,
  matchedBytes: 0,
  bytesSent: 0,
  bytesReceived: 0,
};
