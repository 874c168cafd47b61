/** Everything that a command prints: data, messages and the status line. */
import type { Writable } from 'node:stream';
import { columnsOf, jsonLine, shownText } from './terminal.ts';

/** Standard output and error of a process, as far as the output of a command needs them. */
export interface OutputStream extends Pick<Writable, 'write'> {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** How much is said, and in which form. */
export interface OutputMode {
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly json: boolean;
  /** Whether one line of a terminal may be rewritten to show where the work stands. */
  readonly statusLine: boolean;
}

const FLUSH_AT_BYTES = 32_768;
const NEWLINE = Buffer.from('\n');

/**
 * Everything a command prints: data to standard output, the rest to standard error, and on a
 * terminal one status line that never mixes with either. Data is collected into larger writes when
 * no terminal is watching.
 */
export class Output {
  mode: OutputMode = { quiet: false, verbose: false, json: false, statusLine: false };
  readonly #stdout: OutputStream;
  readonly #stderr: OutputStream;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #status = '';
  #closed = false;
  #failure: Error | undefined;
  #log: ((line: string) => void) | undefined;

  constructor(stdout: OutputStream, stderr: OutputStream) {
    this.#stdout = stdout;
    this.#stderr = stderr;
  }

  /** True once nobody reads standard output any more. */
  get isClosed(): boolean {
    return this.#closed;
  }

  /** Why standard output did not take all that was printed; a reader that went away is none. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  get isTerminal(): boolean {
    return this.#stdout.isTTY === true;
  }

  /** Whether a person watches standard error: who does not is told about trouble only. */
  get isWatched(): boolean {
    return this.#stderr.isTTY === true;
  }

  /** Columns of the terminal that shows the status line. */
  get columns(): number {
    const { columns } = this.#stderr;
    // A pseudo-terminal that nobody gave a size has 0.
    return columns === undefined || columns === 0 ? 80 : columns;
  }

  /** The reader of standard output went away: what follows is dropped. */
  close(): void {
    this.#closed = true;
    this.#pending = [];
  }

  /** Standard output takes no more: what follows is dropped, and so much of the output is missing. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.close();
  }

  /** Lines for people go there, too, also those that `-q` leaves out; undefined ends that. */
  logTo(log: ((line: string) => void) | undefined): void {
    this.#log = log;
  }

  /** One line of data, already safe to show. */
  data(line: string): void {
    this.dataBytes(Buffer.from(line), NEWLINE);
  }

  /** Bytes of data and what ends them, verbatim: for readers that are programs. */
  dataBytes(bytes: Uint8Array, end: Uint8Array): void {
    if (this.#closed) return;
    this.#pending.push(bytes, end);
    this.#pendingBytes += bytes.length + end.length;
    if (this.isTerminal || this.#pendingBytes >= FLUSH_AT_BYTES) this.flush();
  }

  /** Bytes of data, verbatim and however many: settles when the reader has room for more. */
  async stream(bytes: Uint8Array): Promise<void> {
    if (this.#closed) return;
    this.flush();
    await new Promise<void>((resolve) => {
      // A failure is an 'error' of the stream, too, and heard there.
      this.#beside(() => this.#stdout.write(bytes, () => resolve()));
    });
  }

  /** One event for `--json`. */
  event(event: Readonly<Record<string, unknown>>): void {
    this.data(jsonLine(event));
  }

  /** Writes the data that was collected. */
  flush(): void {
    if (this.#pending.length === 0) return;
    const chunk = Buffer.concat(this.#pending);
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#beside(() => this.#stdout.write(chunk));
  }

  /** A line about the work, left out with `-q`. */
  note(line: string): void {
    this.#say(line, !this.mode.quiet);
  }

  /** A line that only `-v` asks for. */
  detail(line: string): void {
    if (this.mode.verbose) this.#say(line, true);
  }

  /** That all is well: for a person who watches, otherwise only with `-v`. */
  success(line: string): void {
    this.#say(line, this.isWatched ? !this.mode.quiet : this.mode.verbose);
  }

  /** A line that is never left out: warnings and errors. */
  alert(line: string): void {
    this.#say(line, true);
  }

  /** Replaces the status line; the text must fit into {@link columns}. */
  status(text: string): void {
    if (!this.mode.statusLine || text === this.#status) return;
    this.#stderr.write(`\r${text}\u001b[K`);
    this.#status = text;
  }

  /** Takes the status line away. */
  clearStatus(): void {
    if (this.#status !== '') this.#stderr.write('\r\u001b[K');
    this.#status = '';
  }

  #say(line: string, isShown: boolean): void {
    this.#log?.(line);
    if (isShown) this.#toStderr(line);
  }

  #toStderr(line: string): void {
    this.flush();
    this.#beside(() => this.#stderr.write(`${shownText(line)}\n`));
  }

  /** Writes with the status line out of the way, and puts it back. */
  #beside(write: () => void): void {
    const status = this.#status;
    this.clearStatus();
    write();
    if (status !== '' && columnsOf(status) <= this.columns) this.status(status);
  }
}
