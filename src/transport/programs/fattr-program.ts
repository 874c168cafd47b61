/** Runs the programs of the package attr, directly or by xargs. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import type { FileError } from '../../errors.ts';
import { reasonOf } from '../../system-errors.ts';
import { cleanEnvironment } from '../child.ts';
import { unquote } from './getfattr-output.ts';

/** Bytes of input written at once. */
const FEED_LENGTH = 32 * 1024;
/** Longest part of a message line that is kept. */
const MESSAGE_LENGTH_MAX = 16 * 1024;
const MISSING = ': No such file or directory';

/** A message of the program that it failed for an object. */
export interface XattrFailure {
  /** One line, for people. */
  readonly message: string;
  /** The object does not exist any more. */
  readonly isGone: boolean;
  /** The paths that it may refer to, the likeliest first: a path may contain a colon. */
  readonly paths: readonly Buffer[];
}

/** One run of a program. */
export interface FattrRun {
  /** Its working directory. */
  readonly folder: string;
  readonly signal: AbortSignal;
  /** Its standard input, in pieces of any size. */
  readonly input: Iterable<Uint8Array>;
  readonly onOutput: (chunk: Buffer) => void;
  readonly onFailure: (failure: XattrFailure) => void;
  /** Creates the error for a program that could not be run at all. */
  readonly failed: (reason: string) => FileError;
}

/**
 * Runs a program and reports its output and its failures.
 *
 * @returns its exit code; null if a signal ended it
 * @throws the error that `failed` creates, or an error of `onOutput`
 * @throws the abort signal's reason
 */
export async function runFattr(
  [program, ...words]: readonly [string, ...string[]],
  { folder, signal, input, onOutput, onFailure, failed }: FattrRun,
): Promise<number | null> {
  signal.throwIfAborted();
  const child = spawn(program, words, {
    cwd: folder,
    env: { ...cleanEnvironment(), LC_ALL: 'C' },
    windowsHide: true,
  });
  const stop = (): void => void child.kill();
  signal.addEventListener('abort', stop);
  try {
    const ended = new Promise<number | null>((resolve, reject) => {
      child.once('error', (error) => reject(failed(reasonOf(error))));
      child.once('close', resolve);
    });
    // If it stops reading, its exit code says why.
    child.stdin.on('error', () => undefined);
    const feeding = feed(child, input);
    const listening = readMessages(child, onFailure);
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) onOutput(chunk);
    const [code] = await Promise.all([ended, feeding, listening]);
    signal.throwIfAborted();
    return code;
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    child.kill();
  }
}

/** Writes the input, with back-pressure. */
async function feed(
  { stdin }: ChildProcessWithoutNullStreams,
  input: Iterable<Uint8Array>,
): Promise<void> {
  let pieces: Uint8Array[] = [];
  let length = 0;
  for (const piece of input) {
    pieces.push(piece);
    length += piece.length;
    if (length < FEED_LENGTH) continue;
    if (stdin.destroyed) return;
    if (!stdin.write(Buffer.concat(pieces))) {
      await Promise.race([once(stdin, 'drain'), once(stdin, 'close')]).catch(() => undefined);
    }
    pieces = [];
    length = 0;
  }
  stdin.end(Buffer.concat(pieces));
}

async function readMessages(
  { stderr }: ChildProcessWithoutNullStreams,
  onFailure: FattrRun['onFailure'],
): Promise<void> {
  let rest = '';
  for await (const chunk of stderr as AsyncIterable<Buffer>) {
    const lines = (rest + chunk.toString('latin1')).split('\n');
    rest = (lines.pop() ?? '').slice(0, MESSAGE_LENGTH_MAX);
    for (const line of lines) if (line !== '') onFailure(failureOf(line));
  }
  if (rest !== '') onFailure(failureOf(rest));
}

/** Parses a line `getfattr: PATH: REASON` or `PATH: NAME: REASON`. */
function failureOf(line: string): XattrFailure {
  const text = line.replace(/^[gs]etfattr: /, '');
  const paths: Buffer[] = [];
  for (let end = text.lastIndexOf(': '); end > 0; end = text.lastIndexOf(': ', end - 1)) {
    paths.push(unquote(text.slice(0, end)));
  }
  const message = Buffer.from(line, 'latin1').toString();
  return { message, isGone: text.endsWith(MISSING), paths };
}
