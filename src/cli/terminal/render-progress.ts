/** The progress of a push as one status line. */
import type { PushProgress } from '../../sync/push/source/push-settings.ts';
import { shownBytes, shownCount, shownDuration } from '../../library/figures.ts';
import type { Output } from './output.ts';
import { PacedStatus, withCurrent } from './paced-status.ts';
import { fitEnd } from './terminal.ts';

const STAGES: Readonly<Record<PushProgress['stage'], string>> = {
  scan: 'looking at the files',
  connect: 'connecting',
  compare: 'comparing',
  send: 'sending',
  delete: 'deleting',
  finish: 'finishing',
};

/** In these stages the total is not known yet. */
const UNMEASURED: ReadonlySet<PushProgress['stage']> = new Set(['scan', 'connect']);

/**
 * One line: the share done, the stage unless files are being sent, files, bytes, rate, time left,
 * and the current name in the remaining room.
 */
export function progressText(
  progress: PushProgress,
  rate: number | undefined,
  columns: number,
): string {
  const { stage, filesDone, filesTotal, bytesDone, bytesTotal, current } = progress;
  if (UNMEASURED.has(stage)) {
    const count = filesTotal > 0 ? `: ${shownCount(filesTotal)}` : '';
    return fitEnd(`${STAGES[stage]}${count}`, columns);
  }
  const share = bytesTotal > 0 ? Math.floor((100 * bytesDone) / bytesTotal) : 100;
  const left = rate !== undefined && rate > 0 ? (bytesTotal - bytesDone) / rate : undefined;
  const figures = [
    `${Math.min(share, 100)}%`,
    ...(stage === 'send' ? [] : [STAGES[stage]]),
    `${shownCount(filesDone)}/${shownCount(filesTotal)} files`,
    `${shownBytes(bytesDone)}/${shownBytes(bytesTotal)}`,
    ...(rate === undefined ? [] : [`${shownBytes(rate)}/s`]),
    ...(left === undefined || left > 359_999 ? [] : [`ETA ${shownDuration(left)}`]),
  ];
  return withCurrent(figures, current, columns);
}

/** Shows the progress of a push. */
export class ProgressReport {
  readonly #out: Output;
  readonly #status: PacedStatus;
  #lastStage = '';

  /**
   * @param wanted - `--progress`: show it without a status line too
   * @param now - a clock in milliseconds
   */
  constructor(out: Output, wanted: boolean, now?: () => number) {
    this.#out = out;
    this.#status = new PacedStatus(out, wanted, now);
  }

  show(progress: PushProgress): void {
    if (progress.stage !== this.#lastStage) {
      this.#lastStage = progress.stage;
      this.#out.detail(`${STAGES[progress.stage]} …`);
      this.#status.hurry();
    }
    const isMoving = progress.stage === 'send' || progress.stage === 'compare';
    this.#status.show(progress, (columns, rate) =>
      progressText(progress, isMoving ? rate() : undefined, columns),
    );
  }
}
