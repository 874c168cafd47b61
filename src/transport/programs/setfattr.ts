/** Sets and removes extended attributes of local files by `setfattr`. */
import { FileError } from '../../errors.ts';
import { runFattr, type XattrFailure } from './fattr-program.ts';
import type { ReadXattr } from './getfattr-output.ts';

/** The attributes to set and to remove on one object. */
export interface XattrChange {
  /** The path as given to the program; without NUL and without a leading dash. */
  readonly path: Uint8Array;
  readonly set: readonly ReadXattr[];
  /** Names, with their namespaces. */
  readonly remove: readonly Buffer[];
}

/** The callbacks for writing attributes. */
export interface XattrWriting {
  readonly signal: AbortSignal;
  readonly onFailure: (failure: XattrFailure) => void;
}

const NUL = Buffer.alloc(1);

/**
 * Changes the attributes of objects in a folder. A symlink in the last component is not followed.
 * One run of `setfattr` sets all attributes, and one run for each attribute removes it. Failures
 * are reported, and the others continue.
 *
 * @param folder - the folder that the paths are relative to
 * @throws {FileError} `xattrs-unwritable` — the programs could not be run
 * @throws the signal's reason
 */
export async function writeXattrs(
  folder: string,
  changes: readonly XattrChange[],
  { signal, onFailure }: XattrWriting,
): Promise<void> {
  const run = { folder, signal, onFailure, onOutput: () => undefined, failed };
  const setting = changes.filter(({ set }) => set.length > 0);
  if (setting.length > 0) {
    await runFattr(['setfattr', '-h', '--restore=-'], { ...run, input: dumpOf(setting) });
  }
  const removing = changes.filter(({ remove }) => remove.length > 0);
  if (removing.length === 0) return;
  const words = ['xargs', '-r', '-0', '-n', '2', 'setfattr', '-h', '-x'] as const;
  await runFattr(words, { ...run, input: namesAndPaths(removing) });
}

/** Text in the format of `getfattr -d`: the inverse of `GetfattrOutput`. */
function* dumpOf(changes: readonly XattrChange[]): Generator<Uint8Array> {
  for (const { path, set } of changes) {
    yield line(`# file: ${quote(path)}`);
    for (const { name, value } of set) {
      const text = value.length === 0 ? '""' : `0s${value.toString('base64')}`;
      yield line(`${quote(name)}=${text}`);
    }
    yield line('');
  }
}

function* namesAndPaths(changes: readonly XattrChange[]): Generator<Uint8Array> {
  for (const { path, remove } of changes) {
    for (const name of remove) yield Buffer.concat([name, NUL, path, NUL]);
  }
}

function line(text: string): Buffer {
  return Buffer.from(`${text}\n`, 'latin1');
}

/** Inverse of `unquote`. */
function quote(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
  return text.replace(/[\\\n\r=]/g, (found) => {
    const octal = found.charCodeAt(0).toString(8).padStart(3, '0');
    return `\\${octal}`;
  });
}

function failed(reason: string): FileError {
  return new FileError('xattrs-unwritable', `setfattr failed: ${reason}`, {
    hint: 'See the lines above, or restore without -X.',
  });
}
