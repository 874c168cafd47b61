/** Runs of the history as text. */
import { DID_NOT_END, type Run } from '../../vault/memory/history.ts';
import { shownBytes, shownCount } from '../../library/figures.ts';
import { shownText } from './terminal.ts';

/** `2026-11-20 18:05`, local time. */
export function shownMoment(timeMs: number): string {
  const date = new Date(timeMs);
  const two = (n: number): string => String(n).padStart(2, '0');
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-');
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** `just now`, `5 min ago`, `3 h ago`, `12 days ago`. */
export function shownAge(ageMs: number): string {
  if (ageMs < MINUTE_MS) return 'just now';
  if (ageMs < 2 * HOUR_MS) return `${Math.floor(ageMs / MINUTE_MS)} min ago`;
  if (ageMs < 2 * DAY_MS) return `${Math.floor(ageMs / HOUR_MS)} h ago`;
  return `${Math.floor(ageMs / DAY_MS)} days ago`;
}

/** One line of `log`. */
export function runLine(run: Run): string {
  const { command, remote, destination, part } = run;
  return [
    shownMoment(Date.parse(run.start)),
    command.padEnd(7),
    shownText(remote ?? destination),
    resultText(run) + (part === true ? ' (a part)' : ''),
  ].join('  ');
}

/** `ok: 12 sent, 3.4 MiB, 2.0 s`, or `failed (30): connection lost`. */
export function resultText(run: Run): string {
  const { exitCode, error, figures = {} } = run;
  const seconds = ((Date.parse(run.end) - Date.parse(run.start)) / 1000).toFixed(1);
  if (error?.code === DID_NOT_END) return shownText(error.message);
  if (exitCode !== 0) {
    const reason = error === undefined ? '' : `: ${error.message}`;
    const word = STOPPED.has(error?.code ?? '') ? 'stopped' : outcomeWord(exitCode);
    return shownText(`${word} (${exitCode})${reason}`);
  }
  const { filesSent, filesDeleted, bytesSent } = figures;
  const facts = [
    ...(filesSent === undefined ? [] : [`${shownCount(filesSent)} sent`]),
    ...(filesDeleted === undefined || filesDeleted === 0
      ? []
      : [`${shownCount(filesDeleted)} deleted`]),
    ...(bytesSent === undefined || run.command !== 'push' ? [] : [shownBytes(bytesSent)]),
    `${seconds} s`,
  ];
  return `ok: ${facts.join(', ')}`;
}

/** Codes of runs that stopped at a limit. The next run continues. */
const STOPPED: ReadonlySet<string> = new Set(['max-time', 'max-bytes']);

function outcomeWord(exitCode: number): string {
  if (exitCode === 11 || exitCode === 75) return 'skipped';
  if (exitCode === 130) return 'interrupted';
  if (exitCode === 24) return 'done';
  return 'failed';
}
