/** Jobs as lines of a crontab, as text. */
import { UsageError } from '../errors.ts';
import { jobWords, phasesOf, type SchedulePlan } from './plan.ts';

/** Bytes of a command that every cron takes (Vixie's limit is 1000 with its end). */
const COMMAND_MAX_BYTES = 998;

/**
 * One word for `sh` inside a crontab. cron comes first and takes `%` as an end of line unless a
 * backslash precedes it; some crons also halve two backslashes. So a backslash never stands before
 * another, and never before a `%` that is not meant.
 */
export function quoteCron(word: string): string {
  const escaped = word.replace(/['\\%]/g, (special) => {
    if (special === "'") return `'"'"'`;
    return special === '%' ? '\\%' : "\\''";
  });
  return /^[A-Za-z0-9_/.:=,@+-]+$/.test(word) ? word : `'${escaped}'`;
}

/**
 * The lines of a job, between marks. Times of day are asked about every hour, at their minute: cron
 * itself makes up for nothing that was missed.
 *
 * @throws {UsageError} `schedule-word-invalid`, `schedule-too-long`
 */
export function cronBlock(plan: SchedulePlan): readonly string[] {
  const { rhythm } = plan;
  const minutes =
    rhythm.kind === 'every'
      ? phasesOf(plan, rhythm.minutes)
      : [...new Set(rhythm.times.map(({ minute }) => minute))].sort((a, b) => a - b);
  const words = jobWords(plan, { jitter: true }).map(quoteCron);
  const command = [...(plan.isLowPriority ? ['nice', '-n', '10'] : []), ...words].join(' ');
  if (Buffer.byteLength(command) > COMMAND_MAX_BYTES) {
    throw new UsageError('schedule-too-long', 'the command is too long for a crontab', {
      hint: `At most ${COMMAND_MAX_BYTES} bytes: put filter rules into a file and name it with --exclude-from.`,
    });
  }
  return [
    beginMark(plan.name),
    '# Made by `ecsync schedule install`; `ecsync schedule remove` takes it away. Asks whether a push is due.',
    `${minutes.join(',')} * * * * ${command}`,
    endMark(plan.name),
  ];
}

function beginMark(name: string): string {
  return `# BEGIN ecsync ${name}`;
}

function endMark(name: string): string {
  return `# END ecsync ${name}`;
}

/**
 * A crontab without a job's lines; nothing else in it changes.
 *
 * @throws {UsageError} `crontab-damaged` — a mark stands alone: what belongs to the job is unknown
 */
export function withoutBlock(crontab: string, name: string): string {
  const place = blockPlace(crontab, name);
  return place === undefined ? crontab : crontab.slice(0, place.start) + crontab.slice(place.end);
}

/** A crontab with a job's lines, in the place of older ones or at its end. */
export function withBlock(crontab: string, name: string, block: readonly string[]): string {
  const text = `${block.join('\n')}\n`;
  const place = blockPlace(crontab, name);
  if (place !== undefined) {
    return crontab.slice(0, place.start) + text + crontab.slice(place.end);
  }
  const isEnded = crontab === '' || crontab.endsWith('\n');
  return `${crontab}${isEnded ? '' : '\n'}${text}`;
}

/** The minutes and the command of a job, as they stand in a crontab. */
export function findBlock(
  crontab: string,
  name: string,
): { readonly minutes: readonly number[]; readonly command: string } | undefined {
  const place = blockPlace(crontab, name);
  if (place === undefined) return undefined;
  const [, minutes = '', command] =
    /^([0-9,]+) \* \* \* \* (.*)$/m.exec(crontab.slice(place.start, place.end)) ?? [];
  if (command === undefined) return undefined;
  return { minutes: minutes.split(',').map(Number), command };
}

function blockPlace(
  crontab: string,
  name: string,
): { readonly start: number; readonly end: number } | undefined {
  const begins = lineStarts(crontab, beginMark(name));
  const ends = lineStarts(crontab, endMark(name));
  const [begin] = begins;
  const [end] = ends;
  if (begin === undefined && end === undefined) return undefined;
  if (begin === undefined || end === undefined || end < begin || begins.length + ends.length > 2) {
    throw new UsageError('crontab-damaged', `the crontab has only a part of the job ${name}`, {
      hint: `Edit it with crontab -e: take out what is left between "${beginMark(name)}" and "${endMark(name)}".`,
    });
  }
  const newline = crontab.indexOf('\n', end);
  return { start: begin, end: newline === -1 ? crontab.length : newline + 1 };
}

/** Where lines start that are exactly this. */
function lineStarts(text: string, line: string): readonly number[] {
  const starts: number[] = [];
  let at = 0;
  for (const candidate of text.split('\n')) {
    if (candidate === line) starts.push(at);
    at += candidate.length + 1;
  }
  return starts;
}

/** The command as cron hands it to the shell: backslashes before `%` gone. */
export function shellCommandOf(command: string): string {
  return command.replaceAll('\\%', '%');
}
