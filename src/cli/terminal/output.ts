/** Everything that a command prints: data, messages and the status line. */
import type { Writable } from 'node:stream';
import { columnsOf, jsonLine, shownText } from './terminal.ts';

/** The parts of standard output and error that a command's output needs. */
export interface OutputStream extends Pick<Writable, 'write'> {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** Verbosity and format of the output. */
export interface OutputMode {
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly json: boolean;
  /** Whether a line on the terminal may be rewritten to show progress. */
  readonly statusLine: boolean;
}

const FLUSH_AT_BYTES = 32_768;
const NEWLINE = Buffer.from('\n');

/**
 * Everything a command prints: data on standard output, the rest on standard error, and on a
 * terminal one status line that never mixes with either. Without a terminal, data is collected into
 * larger writes.
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

  /** True once the reader of standard output is gone. */
  get isClosed(): boolean {
    return this.#closed;
  }

  /** Why standard output is incomplete. A reader that went away is no failure. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  get isTerminal(): boolean {
    return this.#stdout.isTTY === true;
  }

  /** Whether standard error is a terminal. Otherwise only problems are printed. */
  get isWatched(): boolean {
    return this.#stderr.isTTY === true;
  }

  /** Columns of the terminal that shows the status line. */
  get columns(): number {
    const { columns } = this.#stderr;
    // A pseudo-terminal without a size reports 0.
    return columns === undefined || columns === 0 ? 80 : columns;
  }

  /** The reader of standard output is gone. All later output to it is dropped. */
  close(): void {
    this.#closed = true;
    this.#pending = [];
  }

  /** Standard output has failed. All later output to it is dropped and missing. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.close();
  }

  /** Also sends messages to a log, including those that `-q` suppresses. Undefined ends that. */
  logTo(log: ((line: string) => void) | undefined): void {
    this.#log = log;
  }

  /** One line of data, already safe to show. */
  data(line: string): void {
    this.dataBytes(Buffer.from(line), NEWLINE);
  }

  /** Bytes of data and their terminator, verbatim, for programs. */
  dataBytes(bytes: Uint8Array, end: Uint8Array): void {
    if (this.#closed) return;
    this.#pending.push(bytes, end);
    this.#pendingBytes += bytes.length + end.length;
    if (this.isTerminal || this.#pendingBytes >= FLUSH_AT_BYTES) this.flush();
  }

  /** Any amount of data, verbatim. Resolves when the reader has room for more. */
  async stream(bytes: Uint8Array): Promise<void> {
    if (this.#closed) return;
    this.flush();
    await new Promise<void>((resolve) => {
      // A failure is also an 'error' event of the stream, which is handled there.
      this.#beside(() => this.#stdout.write(bytes, () => resolve()));
    });
  }

  /** One event for `--json`. */
  event(event: Readonly<Record<string, unknown>>): void {
    this.data(jsonLine(event));
  }

  /** Writes the collected data. */
  flush(): void {
    if (this.#pending.length === 0) return;
    const chunk = Buffer.concat(this.#pending);
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#beside(() => this.#stdout.write(chunk));
  }

  /** A message about progress and results, suppressed by `-q`. */
  note(line: string): void {
    this.#say(line, !this.mode.quiet);
  }

  /** A message that is printed only with `-v`. */
  detail(line: string): void {
    if (this.mode.verbose) this.#say(line, true);
  }

  /** A message of success, printed on a terminal or with `-v`. */
  success(line: string): void {
    this.#say(line, this.isWatched ? !this.mode.quiet : this.mode.verbose);
  }

  /** A message that is always printed: warnings and errors. */
  alert(line: string): void {
    this.#say(line, true);
  }

  /** Replaces the status line. The text must fit into {@link columns}. */
  status(text: string): void {
    if (!this.mode.statusLine || text === this.#status) return;
    this.#stderr.write(`\r${text}\u001b[K`);
    this.#status = text;
  }

  /** Removes the status line. */
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

  /** Writes something with the status line removed, and restores the line. */
  #beside(write: () => void): void {
    const status = this.#status;
    this.clearStatus();
    write();
    if (status !== '' && columnsOf(status) <= this.columns) this.status(status);
  }
}
