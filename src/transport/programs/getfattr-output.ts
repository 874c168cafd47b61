/** Parses the output of `getfattr`. */
import { FileError } from '../../errors.ts';

/** One attribute that was read. */
export interface ReadXattr {
  /** With its namespace. */
  readonly name: Buffer;
  readonly value: Buffer;
}

/** An object with its attributes. */
export interface ReadObject {
  /** The path that was given to the program. */
  readonly path: Buffer;
  readonly xattrs: readonly ReadXattr[];
}

/** A value has at most 64 KiB on Linux, a third more in base64; a path is far shorter. */
const LINE_LENGTH_MAX = 256 * 1024;
const NEWLINE = 0x0a;
const FILE_MARK = '# file: ';
/** The prefix of a value in base64. */
const BASE64_MARK = '0s';

/**
 * Parses the output of `getfattr -d -e base64 --absolute-names`. Strings here are latin1, since
 * names and paths need not be UTF-8:
 *
 *     # file: PATH            newlines and backslashes as \012
 *     NAME=0sBASE64           likewise, also for = in NAME; if the value is empty the line may
 *                             end after NAME; an empty line ends the object
 *
 * @see getfattr.c do_print, do_get_all (attr 2.5.1)
 */
export class GetfattrOutput {
  #pieces: Buffer[] = [];
  #pending = 0;
  #path: Buffer | undefined;
  #xattrs: ReadXattr[] = [];

  /**
   * Takes the next bytes, split anywhere.
   *
   * @returns the objects that these bytes complete
   * @throws {FileError} `xattrs-unreadable` — this is not output of getfattr
   */
  push(chunk: Buffer): ReadObject[] {
    const objects: ReadObject[] = [];
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      const object = this.#line(this.#joined(chunk.subarray(start, end)));
      if (object !== undefined) objects.push(object);
      start = end + 1;
    }
    const rest = chunk.subarray(start);
    this.#pieces.push(rest);
    this.#pending += rest.length;
    if (this.#pending > LINE_LENGTH_MAX) throw unreadable();
    return objects;
  }

  /** @throws {FileError} `xattrs-unreadable` — the output stops in the middle */
  end(): void {
    if (this.#pending > 0 || this.#path !== undefined) throw unreadable();
  }

  #joined(last: Buffer): string {
    const line = this.#pending === 0 ? last : Buffer.concat([...this.#pieces, last]);
    this.#pieces = [];
    this.#pending = 0;
    return line.toString('latin1');
  }

  #line(line: string): ReadObject | undefined {
    if (line === '') return this.#finished();
    if (line.startsWith(FILE_MARK)) {
      if (this.#path !== undefined) throw unreadable();
      this.#path = unquote(line.slice(FILE_MARK.length));
      return undefined;
    }
    if (this.#path === undefined) throw unreadable();
    const equals = line.indexOf('=');
    const name = unquote(equals === -1 ? line : line.slice(0, equals));
    this.#xattrs.push({ name, value: decodeValue(equals === -1 ? '' : line.slice(equals + 1)) });
    return undefined;
  }

  #finished(): ReadObject | undefined {
    const path = this.#path;
    const xattrs = this.#xattrs;
    this.#path = undefined;
    this.#xattrs = [];
    return path === undefined ? undefined : { path, xattrs };
  }
}

function decodeValue(text: string): Buffer {
  if (text === '' || text === '""') return Buffer.alloc(0);
  const encoded = text.slice(BASE64_MARK.length);
  const value = Buffer.from(encoded, 'base64');
  // Node skips invalid base64: only a value that encodes to the same text was valid.
  if (!text.startsWith(BASE64_MARK) || value.toString('base64') !== encoded) throw unreadable();
  return value;
}

/** Inverse of the program's quoting: a backslash and three octal digits are one byte. */
export function unquote(text: string): Buffer {
  const plain = text.replace(/\\([0-3][0-7]{2})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
  return Buffer.from(plain, 'latin1');
}

function unreadable(): FileError {
  return new FileError('xattrs-unreadable', 'the output of getfattr cannot be understood', {
    hint: 'Update the package attr, or push without -X.',
  });
}
