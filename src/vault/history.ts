import fs from 'node:fs';
import path from 'node:path';
import * as v from 'valibot';
import { FileError } from '../errors.ts';
import { insist } from '../platform.ts';

/*
 * `.ecsync/log/history.jsonl`: one JSON object a line for every run, the newest last. When it has
 * grown beyond HISTORY_LENGTH_MAX it becomes `history.1.jsonl`, in the place of the one before.
 */
const HISTORY_LENGTH_MAX = 1024 * 1024;
/** Whoever writes longer ones is not us: only the end of such a file is looked at. */
const READ_LENGTH_MAX = 2 * HISTORY_LENGTH_MAX;
const MESSAGE_LENGTH_MAX = 1000;

const runSchema = v.object({
  start: v.pipe(v.string(), v.isoTimestamp()),
  end: v.pipe(v.string(), v.isoTimestamp()),
  command: v.string(),
  destination: v.string(),
  remote: v.exactOptional(v.string()),
  part: v.exactOptional(v.literal(true)),
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
  /** Name of the remote, when it was one. */
  readonly remote?: string;
  /** It was limited to some paths, or by filter rules of its own. */
  readonly part?: true;
  readonly exitCode: number;
  readonly error?: { readonly code: string; readonly message: string };
  /** The numbers of its summary. */
  readonly figures?: Readonly<Record<string, number>>;
}

function historyFiles(vaultDir: string): { readonly now: string; readonly before: string } {
  const folder = path.join(vaultDir, 'log');
  return {
    now: path.join(folder, 'history.jsonl'),
    before: path.join(folder, 'history.1.jsonl'),
  };
}

/**
 * Adds a run at the end. Inverse of {@link readHistory}.
 *
 * @throws {FileError} `history-not-written`
 */
export function appendHistory(vaultDir: string, run: Run): void {
  const { now, before } = historyFiles(vaultDir);
  const { error } = run;
  const message = error?.message.slice(0, MESSAGE_LENGTH_MAX) ?? '';
  const line = JSON.stringify(error === undefined ? run : { ...run, error: { ...error, message } });
  try {
    fs.mkdirSync(path.dirname(now), { recursive: true, mode: 0o700 });
    const length = fs.statSync(now, { throwIfNoEntry: false })?.size ?? 0;
    if (length > HISTORY_LENGTH_MAX) insist(() => fs.renameSync(now, before));
    // A line that a power cut has cut off must not swallow this one.
    const gap = length <= HISTORY_LENGTH_MAX && !endsInNewline(now, length) ? '\n' : '';
    fs.appendFileSync(now, `${gap}${line}\n`, { mode: 0o600 });
  } catch (cause) {
    throw new FileError('history-not-written', `cannot write ${now}`, {
      hint: 'The run itself is not concerned. Check the space on this disk.',
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

/** All runs that are remembered, the oldest first. What is damaged is left out. */
export function readHistory(vaultDir: string): readonly Run[] {
  const { now, before } = historyFiles(vaultDir);
  return [before, now].flatMap((file) => readEnd(file).split('\n').flatMap(parseRun));
}

function readEnd(file: string): string {
  let fd: number;
  try {
    fd = fs.openSync(file, 'r');
  } catch {
    return ''; // Nothing was run yet, or nobody may look.
  }
  try {
    const { size } = fs.fstatSync(fd);
    const bytes = Buffer.alloc(Math.min(size, READ_LENGTH_MAX));
    const got = fs.readSync(fd, bytes, 0, bytes.length, size - bytes.length);
    return bytes.toString('utf8', 0, got);
  } finally {
    fs.closeSync(fd);
  }
}

function parseRun(line: string): readonly Run[] {
  if (line === '') return [];
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return []; // Cut off by a power failure, or not ours.
  }
  const result = v.safeParse(runSchema, value);
  return result.success ? [result.output] : [];
}
