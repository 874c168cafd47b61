/** Output of a check of a copy: its findings, its progress and its figures, as text and as JSON. */
import type { FsckFinding } from '../../sync/copy/fsck-finding.ts';
import { shownBytes, shownCount } from '../../library/figures.ts';
import { describeFinding } from '../terminal/finding-texts.ts';
import type { Output } from '../terminal/output.ts';
import { jsonPath } from '../terminal/render-item.ts';
import { PacedStatus, withCurrent } from '../terminal/paced-status.ts';
import { shown, shownText } from '../terminal/terminal.ts';
import type { FsckProgress, FsckSummary } from '../../sync/check/fsck-summary.ts';

/**
 * A finding as one line of text. An object without a plaintext path is shown with its folder and
 * its path in the copy.
 */
export function findingText(finding: FsckFinding): string {
  const { code, message, severity, blocks } = finding;
  return describeFinding(findingPlace(finding), {
    code,
    message: shownText(message),
    isUnread: severity === 'unread',
    blocks,
  });
}

/** The object of a finding. */
export function findingPlace(
  finding: Pick<FsckFinding, 'plainPath' | 'plainDirectory' | 'cipherPath'>,
): string {
  const { plainPath, plainDirectory, cipherPath } = finding;
  return plainPath === undefined
    ? `${shown(plainDirectory)}/ (in the copy: ${shown(cipherPath)})`
    : shown(plainPath);
}

/** `{"type":"finding","severity","code","path"?,"folder","cipherPath","kind","blocks"?,"message"}` */
export function findingEvent(finding: FsckFinding): Readonly<Record<string, unknown>> {
  const { severity, code, plainPath, plainDirectory, cipherPath, kind, blocks, message } = finding;
  return {
    type: 'finding',
    severity,
    code,
    ...(plainPath === undefined ? {} : jsonPath('path', plainPath)),
    ...jsonPath('folder', plainDirectory),
    ...jsonPath('cipherPath', cipherPath),
    kind,
    ...(blocks === undefined ? {} : { blocks: [blocks.first, blocks.last] }),
    message,
  };
}

/** What was checked, as text: `3,001 files, 21 folders, 2 links, 405 MiB`. */
export function checkedText(summary: FsckSummary): string {
  const { files, folders, links, others, bytesRead } = summary;
  const counts: readonly (readonly [number, string])[] = [
    [files, 'file'],
    [folders, 'folder'],
    ...(links > 0 ? [[links, 'link'] as const] : []),
    ...(others > 0 ? [[others, 'special file'] as const] : []),
  ];
  const texts = counts.map(([count, noun]) => counted(count, noun));
  return `${texts.join(', ')}, ${shownBytes(bytesRead)}`;
}

/** `1 file`, `2,000 files` */
export function counted(count: number, noun: string): string {
  return `${shownCount(count)} ${noun}${count === 1 ? '' : 's'}`;
}

/** The status line of a running check. */
export class FsckProgressReport {
  readonly #status: PacedStatus;

  constructor(out: Output) {
    this.#status = new PacedStatus(out, false);
  }

  show(progress: FsckProgress): void {
    this.#status.show(progress, (columns, rate) => fsckText(progress, rate(), columns));
  }
}

function fsckText(progress: FsckProgress, rate: number | undefined, columns: number): string {
  const { filesDone, bytesDone, damaged, current } = progress;
  const figures = [
    counted(filesDone, 'file'),
    shownBytes(bytesDone),
    ...(rate === undefined ? [] : [`${shownBytes(rate)}/s`]),
    ...(damaged === 0 ? [] : [`${shownCount(damaged)} damaged`]),
  ];
  return withCurrent(figures, current, columns);
}
