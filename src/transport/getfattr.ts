/**
 * Extended attributes of local files, by the programs of the operating system: Node has no call for
 * them. One `xargs -r -0 getfattr` examines exactly the paths it is fed with, in their order, as bytes.
 */
import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { FileError, UsageError } from '../errors.ts';
import { cleanEnvironment } from './child.ts';
import { GetfattrOutput, unquote, type ReadObject } from './getfattr-output.ts';

export type { ReadObject, ReadXattr } from './getfattr-output.ts';

/** Bytes of paths that are written at once. */
const FEED_LENGTH = 32 * 1024;
/** What is kept of a line of the programs' messages. */
const MESSAGE_LENGTH_MAX = 16 * 1024;
/** Exit code of xargs when some of what it ran could not do all of its work. */
const EXIT_SOME_FAILED = 123;
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

/** How attributes are read. */
export interface XattrReading {
  /** Take the namespace `user` alone. */
  readonly onlyUser: boolean;
  readonly signal: AbortSignal;
  /** Hears of each object that has attributes, in the order of the paths. */
  readonly onObject: (object: ReadObject) => void;
  readonly onFailure: (failure: XattrFailure) => void;
}

/**
 * Makes sure that this machine has a program, before anything depends on it.
 *
 * @param advice - the hint when it does not
 * @throws {UsageError} `xattrs-unsupported`
 */
export function requireProgram(program: string, advice: string): void {
  const [file = '', ...words] = program.split(' ').filter((word) => word !== '');
  const { error } = spawnSync(file, [...words, '--version'], {
    env: cleanEnvironment(),
    stdio: 'ignore',
  });
  if (error === undefined) return;
  throw new UsageError('xattrs-unsupported', `-X needs the program ${file}, which is not here`, {
    hint: advice,
    cause: error,
  });
}

/**
 * Reads the attributes of objects of a folder, symlinks unfollowed in their last component. Memory is
 * taken for one object at a time.
 *
 * @param folder - what the paths are relative to
 * @param paths - without NUL; none may start with a dash
 * @throws {FileError} `xattrs-unreadable` — the programs failed as such
 * @throws the signal's reason
 */
export async function readXattrs(
  folder: string,
  paths: Iterable<Uint8Array>,
  { onlyUser, signal, onObject, onFailure }: XattrReading,
): Promise<void> {
  signal.throwIfAborted();
  const words = ['-h', '-d', '-m', onlyUser ? '^user\\.' : '-', '-e', 'base64'];
  const child = spawn('xargs', ['-r', '-0', 'getfattr', ...words, '--absolute-names', '--'], {
    cwd: folder,
    env: { ...cleanEnvironment(), LC_ALL: 'C' },
    windowsHide: true,
  });
  const stop = (): void => void child.kill();
  signal.addEventListener('abort', stop);
  try {
    const ended = exitCodeOf(child);
    // What it had to say is known from its exit code when it stops listening.
    child.stdin.on('error', () => undefined);
    const feeding = feed(child, paths);
    const listening = readMessages(child, onFailure);
    const output = new GetfattrOutput();
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
      for (const object of output.push(chunk)) onObject(object);
    }
    const [code] = await Promise.all([ended, feeding, listening]);
    signal.throwIfAborted();
    if (code !== 0 && code !== EXIT_SOME_FAILED) throw failed(`it ended with ${String(code)}`);
    output.end();
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    child.kill();
  }
}

async function exitCodeOf(child: ChildProcessWithoutNullStreams): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(failed(error.message)));
    child.once('close', resolve);
  });
}

/** Writes the paths, each as `PATH NUL`, as fast as they are taken. */
async function feed(
  { stdin }: ChildProcessWithoutNullStreams,
  paths: Iterable<Uint8Array>,
): Promise<void> {
  const end = Buffer.alloc(1);
  let pieces: Uint8Array[] = [];
  let length = 0;
  for (const path of paths) {
    pieces.push(path, end);
    length += path.length + 1;
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
  onFailure: XattrReading['onFailure'],
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
  const text = line.replace(/^getfattr: /, '');
  const paths: Buffer[] = [];
  for (let end = text.lastIndexOf(': '); end > 0; end = text.lastIndexOf(': ', end - 1)) {
    paths.push(unquote(text.slice(0, end)));
  }
  const message = Buffer.from(line, 'latin1').toString();
  return { message, isGone: text.endsWith(MISSING), paths };
}

function failed(reason: string): FileError {
  return new FileError('xattrs-unreadable', `getfattr failed: ${reason}`, {
    hint: 'See the lines above, or push without -X.',
  });
}
