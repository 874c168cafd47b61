/** Jobs as lines of a crontab, as text. */
import { UsageError } from '../errors.ts';
import { jobArguments, phasesOf, type SchedulePlan } from './plan.ts';

/** Bytes of a command that every cron takes (Vixie's limit is 1000 with its end). */
const COMMAND_MAX_BYTES = 998;

/**
 * One word for `sh` inside a crontab. cron parses the line first: it takes `%` as an end of line
 * unless a backslash precedes it; some crons also turn two backslashes into one. So a backslash
 * never precedes another one, and precedes a `%` only to escape it.
 */
export function quoteCron(word: string): string {
  const escaped = word.replace(/['\\%]/g, (special) => {
    if (special === "'") return `'"'"'`;
    return special === '%' ? '\\%' : "\\''";
  });
  return /^[A-Za-z0-9_/.:=,@+-]+$/.test(word) ? word : `'${escaped}'`;
}

/**
 * The lines of a job, between marks. For times of day the job runs every hour at their minutes,
 * since cron itself does not make up for missed runs.
 *
 * @throws {UsageError} `schedule-word-invalid`, `schedule-too-long`
 */
export function cronBlock(plan: SchedulePlan): readonly string[] {
  const { rhythm } = plan;
  const minutes =
    rhythm.kind === 'every'
      ? phasesOf(plan, rhythm.minutes)
      : [...new Set(rhythm.times.map(({ minute }) => minute))].sort((a, b) => a - b);
  const words = jobArguments(plan, { jitter: true }).map(quoteCron);
  const command = [...(plan.isLowPriority ? ['nice', '-n', '10'] : []), ...words].join(' ');
  if (Buffer.byteLength(command) > COMMAND_MAX_BYTES) {
    throw new UsageError('schedule-too-long', 'the command is too long for a crontab', {
      hint: `At most ${COMMAND_MAX_BYTES} bytes: put filter rules into a file and name it with --exclude-from.`,
    });
  }
  return [
    beginMark(plan.name),
    '# Made by `ecsync schedule install`; `ecsync schedule remove` removes it. Checks whether a push is due.',
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
 * A crontab without a job's lines, otherwise unchanged.
 *
 * @throws {UsageError} `crontab-damaged` — a mark is missing, so the end of the job is unknown
 */
export function withoutBlock(crontab: string, name: string): string {
  const place = blockPlace(crontab, name);
  return place === undefined ? crontab : crontab.slice(0, place.start) + crontab.slice(place.end);
}

/** A crontab with a job's lines, in place of older ones or at its end. */
export function withBlock(crontab: string, name: string, block: readonly string[]): string {
  const text = `${block.join('\n')}\n`;
  const place = blockPlace(crontab, name);
  if (place !== undefined) {
    return crontab.slice(0, place.start) + text + crontab.slice(place.end);
  }
  const isEnded = crontab === '' || crontab.endsWith('\n');
  return `${crontab}${isEnded ? '' : '\n'}${text}`;
}

/** The minutes and the command of a job in a crontab. */
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
    throw new UsageError('crontab-damaged', `the crontab has only part of the job ${name}`, {
      hint: `Edit it with crontab -e: delete what is left between "${beginMark(name)}" and "${endMark(name)}".`,
    });
  }
  const newline = crontab.indexOf('\n', end);
  return { start: begin, end: newline === -1 ? crontab.length : newline + 1 };
}

/** Offsets of the lines that equal this one. */
function lineStarts(text: string, line: string): readonly number[] {
  const starts: number[] = [];
  let at = 0;
  for (const candidate of text.split('\n')) {
    if (candidate === line) starts.push(at);
    at += candidate.length + 1;
  }
  return starts;
}

/** The command as cron passes it to the shell: without the backslashes before `%`. */
export function shellCommandOf(command: string): string {
  return command.replaceAll('\\%', '%');
}
