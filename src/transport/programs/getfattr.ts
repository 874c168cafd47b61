/**
 * Reads extended attributes of local files by `getfattr`, since Node has no call for them. One run
 * of `xargs -r -0 getfattr` examines exactly the paths that it reads, in their order, as bytes.
 */
import { spawnSync } from 'node:child_process';
import { FileError, UsageError } from '../../errors.ts';
import { cleanEnvironment } from '../child.ts';
import { runFattr, type XattrFailure } from './fattr-program.ts';
import { GetfattrOutput, type ReadObject } from './getfattr-output.ts';

/** Exit code of xargs if some of its commands failed. */
const EXIT_SOME_FAILED = 123;

/** The options and callbacks for reading attributes. */
export interface XattrReading {
  /** Read only the namespace `user`. */
  readonly onlyUser: boolean;
  readonly signal: AbortSignal;
  /** Called for each object that has attributes, in the order of the paths. */
  readonly onObject: (object: ReadObject) => void;
  readonly onFailure: (failure: XattrFailure) => void;
}

/**
 * Checks that this machine has a program, before anything depends on it.
 *
 * @param advice - the hint of the error
 * @throws {UsageError} `xattrs-unsupported`
 */
export function requireProgram(program: string, advice: string): void {
  const [file = '', ...words] = program.split(' ').filter((word) => word !== '');
  const { error } = spawnSync(file, [...words, '--version'], {
    env: cleanEnvironment(),
    stdio: 'ignore',
  });
  if (error === undefined) return;
  throw new UsageError(
    'xattrs-unsupported',
    `-X needs the program ${file}, which is missing here`,
    {
      hint: advice,
      cause: error,
    },
  );
}

/**
 * Reads the attributes of objects in a folder. A symlink in the last component is not followed.
 * Only one object is in memory at a time.
 *
 * @param folder - the folder that the paths are relative to
 * @param paths - without NUL; none may start with a dash
 * @throws {FileError} `xattrs-unreadable` — the programs failed as such
 * @throws the signal's reason
 */
export async function readXattrs(
  folder: string,
  paths: Iterable<Uint8Array>,
  { onlyUser, signal, onObject, onFailure }: XattrReading,
): Promise<void> {
  const words = ['-h', '-d', '-m', onlyUser ? '^user\\.' : '-', '-e', 'base64'];
  const output = new GetfattrOutput();
  const code = await runFattr(
    ['xargs', '-r', '-0', 'getfattr', ...words, '--absolute-names', '--'],
    {
      folder,
      signal,
      input: terminated(paths),
      onOutput: (chunk) => {
        for (const object of output.push(chunk)) onObject(object);
      },
      onFailure,
      failed,
    },
  );
  if (code !== 0 && code !== EXIT_SOME_FAILED) throw failed(`it ended with ${String(code)}`);
  output.end();
}

/** Yields each path followed by a NUL. */
function* terminated(paths: Iterable<Uint8Array>): Generator<Uint8Array> {
  const end = Buffer.alloc(1);
  for (const path of paths) {
    yield path;
    yield end;
  }
}

function failed(reason: string): FileError {
  return new FileError('xattrs-unreadable', `getfattr failed: ${reason}`, {
    hint: 'See the lines above, or push without -X.',
  });
}
