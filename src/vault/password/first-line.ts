/** Reads the first line of a source, which is the secret. */
import { byteOrderMarkOf } from '../../bytes/byte-order-mark.ts';
import { PasswordError } from '../../errors.ts';

/** gocryptfs' own limit (internal/readpassword, v2.3). */
const PASSWORD_LENGTH_MAX = 2048;

/** Collects the first line of a source, overwriting its copies. */
export class FirstLine {
  /** True after the newline: nothing more needs to be read. */
  isComplete = false;
  readonly #line = Buffer.alloc(PASSWORD_LENGTH_MAX);
  readonly #where: string;
  readonly #what: string;
  readonly #hasSecondLine: (line: Buffer) => boolean;
  #length = 0;

  /**
   * @param where - the source, for messages
   * @param what - the kind of secret, for messages
   * @param hasSecondLine - whether the next line belongs to it; default: no
   */
  constructor(
    where: string,
    what = 'password',
    hasSecondLine: (line: Buffer) => boolean = () => false,
  ) {
    this.#where = where;
    this.#what = what;
    this.#hasSecondLine = hasSecondLine;
  }

  /** @throws {PasswordError} `password-too-long` */
  push(chunk: Uint8Array): void {
    if (this.isComplete) return;
    const newline = chunk.indexOf(0x0a);
    const part = newline === -1 ? chunk : chunk.subarray(0, newline);
    this.#add(part);
    if (newline === -1) return;
    this.isComplete = !this.#hasSecondLine(this.#line.subarray(0, this.#length));
    if (!this.isComplete) this.push(chunk.subarray(newline + 1));
  }

  #add(part: Uint8Array): void {
    if (this.#length + part.length > PASSWORD_LENGTH_MAX) {
      this.#line.fill(0);
      throw new PasswordError(
        'password-too-long',
        `the ${this.#what} from ${this.#where} is longer than ${PASSWORD_LENGTH_MAX} bytes`,
        { hint: 'gocryptfs accepts at most that. Is this the right file?' },
      );
    }
    this.#line.set(part, this.#length);
    this.#length += part.length;
  }

  /**
   * @returns the line without its newline, in a buffer of its own
   * @throws {PasswordError} `password-empty`, `password-utf16`
   */
  finish(): Buffer {
    if (byteOrderMarkOf(this.#line.subarray(0, this.#length)) === 'utf-16') {
      this.#line.fill(0);
      throw new PasswordError(
        'password-utf16',
        `the ${this.#what} from ${this.#where} is UTF-16 text, as Windows PowerShell writes it`,
        { hint: 'Save it as UTF-8: Set-Content -Encoding ascii, or an editor.' },
      );
    }
    if (this.#length === 0) {
      throw new PasswordError('password-empty', `the ${this.#what} from ${this.#where} is empty`, {
        hint: `Its first line must hold the ${this.#what}.`,
      });
    }
    const line = Buffer.from(this.#line.subarray(0, this.#length));
    this.#line.fill(0);
    return line;
  }
}
