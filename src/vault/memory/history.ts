/** The history of runs on a vault. */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import * as v from 'valibot';
import { ExitCode, FileError } from '../../errors.ts';
import { retryWhileHeld } from '../../platform.ts';
import { reasonOf } from '../../system-errors.ts';
import { ownIdentity, processStateOf } from '../lock/process-identity.ts';
import { NotAFileError, withRegularFile } from '../files/regular-file.ts';
import { makeFolderInVault } from '../files/vault-files.ts';

/*
 * `.ecsync/log/history.jsonl`: one JSON object a line at the start of a run, and one at its end,
 * the newest last. When it has grown beyond HISTORY_LENGTH_MAX, it is renamed to `history.1.jsonl`,
 * replacing the previous one.
 */
const HISTORY_LENGTH_MAX = 1024 * 1024;
/** ecsync writes no longer files; only the end of such a file is read. */
const READ_LENGTH_MAX = 2 * HISTORY_LENGTH_MAX;
const MESSAGE_LENGTH_MAX = 1000;

const beginning = {
  start: v.pipe(v.string(), v.isoTimestamp()),
  command: v.string(),
  destination: v.string(),
  remote: v.exactOptional(v.string()),
  part: v.exactOptional(v.literal(true)),
  /** Unique for every run. */
  run: v.exactOptional(v.string()),
};

const begunSchema = v.object({
  ...beginning,
  run: v.string(),
  process: v.object({
    pid: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
    host: v.string(),
    pidSpace: v.string(),
    started: v.string(),
    uptimeSec: v.number(),
  }),
});

const runSchema = v.object({
  ...beginning,
  end: v.pipe(v.string(), v.isoTimestamp()),
  exitCode: v.pipe(v.number(), v.integer()),
  error: v.exactOptional(v.object({ code: v.string(), message: v.string() })),
  figures: v.exactOptional(v.record(v.string(), v.number())),
});

/** One run of a command on a copy. */
export interface Run {
  /** ISO 8601, UTC. */
  readonly start: string;
  readonly end: string;
  /** `push`, `verify`, `restore`, `fsck`. */
  readonly command: string;
  /** Canonical text of the destination. */
  readonly destination: string;
  /** Name of the remote, if it was one. */
  readonly remote?: string;
  /** It was limited to some paths, or by filter rules of its own. */
  readonly part?: true;
  /** Links its end to its start. */
  readonly run?: string;
  /** For a killed run: 1, with the error {@link DID_NOT_END}. */
  readonly exitCode: number;
  readonly error?: { readonly code: string; readonly message: string };
  /** The figures of its summary. */
  readonly figures?: Readonly<Record<string, number>>;
}

function historyFiles(vaultDir: string): { readonly now: string; readonly before: string } {
  const folder = path.join(vaultDir, 'log');
  return {
    now: path.join(folder, 'history.jsonl'),
    before: path.join(folder, 'history.1.jsonl'),
  };
}

/** Error code of a killed run. */
export const DID_NOT_END = 'did-not-end';

/** The facts about a run at its start. */
export type RunBeginning = Pick<Run, 'start' | 'command' | 'destination' | 'remote' | 'part'>;

/**
 * Records that this process starts a run, so that the run leaves a trace if it is killed.
 *
 * @returns the value of `run` for its end
 * @throws {FileError} `history-not-written`
 */
export function beginHistory(vaultDir: string, beginning: RunBeginning): string {
  const run = randomBytes(6).toString('hex');
  appendLine(vaultDir, { ...beginning, run, process: ownIdentity() });
  return run;
}

/**
 * Adds a run at the end. Inverse of {@link readHistory}.
 *
 * @throws {FileError} `history-not-written`
 */
export function appendHistory(vaultDir: string, run: Run): void {
  const { error } = run;
  const message = error?.message.slice(0, MESSAGE_LENGTH_MAX) ?? '';
  appendLine(vaultDir, error === undefined ? run : { ...run, error: { ...error, message } });
}

function appendLine(vaultDir: string, line: object): void {
  const { now, before } = historyFiles(vaultDir);
  try {
    makeFolderInVault(path.dirname(now));
    const stats = fs.statSync(now, { throwIfNoEntry: false });
    if (stats?.isFile() === false) throw new NotAFileError(now);
    const length = stats?.size ?? 0;
    if (length > HISTORY_LENGTH_MAX) retryWhileHeld(() => fs.renameSync(now, before));
    // A line cut off by a power failure must not swallow this one.
    const gap = length <= HISTORY_LENGTH_MAX && !endsInNewline(now, length) ? '\n' : '';
    fs.appendFileSync(now, `${gap}${JSON.stringify(line)}\n`, { mode: 0o600 });
  } catch (cause) {
    throw new FileError('history-not-written', `cannot write ${now}: ${reasonOf(cause)}`, {
      hint: 'The run itself is not affected. Check the space on this disk, and that no folder has this name.',
      cause,
    });
  }
}

function endsInNewline(file: string, length: number): boolean {
  if (length === 0) return true;
  const fd = fs.openSync(file, 'r');
  try {
    const last = Buffer.alloc(1);
    fs.readSync(fd, last, 0, 1, length - 1);
    return last[0] === 0x0a;
  } finally {
    fs.closeSync(fd);
  }
}

/**
 * All recorded runs, oldest first, without damaged records and running runs. A killed run ends when
 * it started.
 */
export function readHistory(vaultDir: string): readonly Run[] {
  const { now, before } = historyFiles(vaultDir);
  const lines = [before, now].flatMap((file) => readEnd(file).split('\n').flatMap(parseLine));
  const ended = new Set(lines.flatMap((line) => ('process' in line ? [] : (line.run ?? []))));
  return lines.flatMap((line, index) => {
    if (!('process' in line)) return [line];
    if (ended.has(line.run) || !isOver(line, lines.slice(index + 1))) return [];
    const { process: killed, ...begun } = line;
    const message = `it did not end: process ${killed.pid} on ${killed.host} was killed, or its machine stopped`;
    return [{ ...begun, end: line.start, exitCode: 1, error: { code: DID_NOT_END, message } }];
  });
}

/**
 * Whether a run is over. An invisible process counts as ended when a later push could start, or
 * after a day.
 */
function isOver(begun: Begun, later: readonly (Begun | Run)[]): boolean {
  const state = processStateOf(begun.process);
  if (state === 'running') return false;
  if (state !== 'unseen') return true;
  const isPush = ({ command, destination }: Begun | Run): boolean =>
    command === 'push' && destination === begun.destination;
  const isFollowed =
    isPush(begun) &&
    later.some((line) => 'exitCode' in line && isPush(line) && line.exitCode !== ExitCode.locked);
  return isFollowed || Date.now() - Date.parse(begun.start) > DAY_MS;
}

const DAY_MS = 86_400_000;

function readEnd(file: string): string {
  try {
    return withRegularFile(file, (fd, length) => {
      const bytes = Buffer.alloc(Math.min(length, READ_LENGTH_MAX));
      const got = fs.readSync(fd, bytes, 0, bytes.length, length - bytes.length);
      return bytes.toString('utf8', 0, got);
    });
  } catch {
    return ''; // There is no history yet, it may not be read, or it is not a file.
  }
}

type Begun = v.InferOutput<typeof begunSchema>;

function parseLine(line: string): readonly (Begun | Run)[] {
  if (line === '') return [];
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return []; // Cut off by a power failure, or not ours.
  }
  const ended = v.safeParse(runSchema, value);
  if (ended.success) return [ended.output];
  const begun = v.safeParse(begunSchema, value);
  return begun.success ? [begun.output] : [];
}
