/** Running the programs of the package attr, and the programs that run these. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import type { FileError } from '../../errors.ts';
import { reasonOf } from '../../system-words.ts';
import { cleanEnvironment } from '../child.ts';
import { unquote } from './getfattr-output.ts';

/** Bytes of input that are written at once. */
const FEED_LENGTH = 32 * 1024;
/** What is kept of a line of the programs' messages. */
const MESSAGE_LENGTH_MAX = 16 * 1024;
const MISSING = ': No such file or directory';

/** A message of the program about an object. */
export interface XattrFailure {
  /** One line, for people. */
  readonly message: string;
  /** The object is gone. */
  readonly isGone: boolean;
  /** Which of the given paths it may be about, the likeliest first: a path may hold a colon. */
  readonly paths: readonly Buffer[];
}

/** One run of a program. */
export interface FattrRun {
  /** Where it runs. */
  readonly folder: string;
  readonly signal: AbortSignal;
  /** What it reads, in pieces of any size. */
  readonly input: Iterable<Uint8Array>;
  readonly onOutput: (chunk: Buffer) => void;
  readonly onFailure: (failure: XattrFailure) => void;
  /** The error when it could not be run at all. */
  readonly failed: (reason: string) => FileError;
}

/**
 * @returns its exit code; null when a signal ended it
 * @throws what `failed` makes, and what `onOutput` throws
 * @throws the signal's reason
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
    // What it had to say is known from its exit code when it stops listening.
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

/** Writes the input as fast as it is taken. */
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

/** Lines are `getfattr: PATH: REASON` or `PATH: NAME: REASON`. */
function failureOf(line: string): XattrFailure {
  const text = line.replace(/^[gs]etfattr: /, '');
  const paths: Buffer[] = [];
  for (let end = text.lastIndexOf(': '); end > 0; end = text.lastIndexOf(': ', end - 1)) {
    paths.push(unquote(text.slice(0, end)));
  }
  const message = Buffer.from(line, 'latin1').toString();
  return { message, isGone: text.endsWith(MISSING), paths };
}
