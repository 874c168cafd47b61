import type { Finding } from '../sync/fsck-finding.ts';
import type { FsckProgress, FsckSummary } from '../sync/fsck.ts';
import { shownBytes, shownCount } from './figures.ts';
import type { Output } from './output.ts';
import { jsonPath } from './render-item.ts';
import { Rate } from './render-progress.ts';
import { columnsOf, fitEnd, shown } from './terminal.ts';

const STATUS_EVERY_MS = 100;

/**
 * One line: the code, the plaintext path, and which blocks. An object that has no plaintext path is
 * shown with the folder it is in and its path in the copy.
 */
export function findingText(finding: Finding): string {
  const { code, plainPath, plainDirectory, cipherPath, blocks } = finding;
  if (plainPath === undefined) {
    return `${code} ${shown(plainDirectory)}/ (in the copy: ${shown(cipherPath)})`;
  }
  return `${code} ${shown(plainPath)}${blocks === undefined ? '' : ` (${blocksText(blocks)})`}`;
}

function blocksText({ first, last }: { readonly first: number; readonly last: number }): string {
  return first === last ? `block ${first}` : `blocks ${first} to ${last}`;
}

/** `{"type":"finding","severity","code","path"?,"folder","cipherPath","kind","blocks"?,"message"}` */
export function findingEvent(finding: Finding): Readonly<Record<string, unknown>> {
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

/** What was looked at, for people: `3,001 files, 21 folders, 2 links, 405 MiB`. */
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
  readonly #out: Output;
  readonly #now: () => number;
  readonly #rate = new Rate();
  #lastMs = -Infinity;

  /** @param now - a clock in milliseconds */
  constructor(out: Output, now: () => number) {
    this.#out = out;
    this.#now = now;
  }

  show({ filesDone, bytesDone, damaged, current }: FsckProgress): void {
    if (!this.#out.mode.statusLine) return;
    const nowMs = this.#now();
    if (nowMs - this.#lastMs < STATUS_EVERY_MS) return;
    this.#lastMs = nowMs;
    const rate = this.#rate.add(nowMs, bytesDone);
    const figures = [
      counted(filesDone, 'file'),
      shownBytes(bytesDone),
      ...(rate === undefined ? [] : [`${shownBytes(rate)}/s`]),
      ...(damaged === 0 ? [] : [`${shownCount(damaged)} damaged`]),
    ].join('  ');
    // The last column stays free: some terminals wrap when it is written.
    const room = this.#out.columns - 1 - columnsOf(figures) - 2;
    this.#out.status(
      room < 8
        ? fitEnd(figures, this.#out.columns - 1)
        : `${figures}  ${fitEnd(shown(current), room)}`,
    );
  }
}
