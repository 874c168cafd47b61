/** What a transport offers: remotes that start commands, and connections to them. */
import type { Readable, Writable } from 'node:stream';
import type { EcsyncError } from '../errors.ts';

/** How a remote command ended. `code` is null when a signal or a lost connection ended it. */
export interface ExitStatus {
  readonly code: number | null;
  readonly signal: string | null;
}

/**
 * One running command at the peer: its standard input and output as a duplex of bytes. Knows no
 * protocol. Whoever holds it owns it and ends with `exited` or `destroy()`.
 */
export interface Connection {
  /**
   * Bytes from the peer. Ends when the peer closes its standard output; errors are ConnectionError.
   */
  readonly input: Readable;
  /**
   * Bytes to the peer; honours back-pressure. Errors are ConnectionError, also after the peer died.
   */
  readonly output: Writable;
  /** What the peer wrote to standard error so far: at most the last 64 KiB, raw and untrusted. */
  stderrText(): string;
  /**
   * Settles when the command has ended *and* its output and standard error were read to the end.
   *
   * @throws {ConnectionError} `connection-lost` when the connection broke instead
   */
  readonly exited: Promise<ExitStatus>;
  /**
   * It was started before `start` asked for it, when circumstances may have been others, or while
   * another that was not needed may not have ended yet: if it fails, another attempt may not.
   */
  readonly startedAhead?: boolean;
  /**
   * The version of the protocol that is spoken on it was agreed on while it was opened, as rsync
   * daemons do; both sides begin with what comes after that.
   */
  readonly greeted?: { readonly protocol: number };
  /**
   * Adds to {@link stderrText} what the peer said in the stream, where there is no other place for
   * its warnings and errors, as with rsync daemons.
   */
  addErrorText?(text: string): void;
  /** What ended a server that runs in this process, if it was an error. */
  readonly failure?: EcsyncError | undefined;
  /** Ends the command at once (kill, close of the channel); idempotent. */
  destroy(): void;
}

/** A reachable machine (or this one): starts commands, one after the other or side by side. */
export interface Remote {
  /** For messages: `user@host`, `this machine`, … never a secret. */
  readonly shownName: string;
  /**
   * Starts a command.
   *
   * @param program - command text as the user configured it (`rsync`, `sudo rsync`); a remote shell
   *   sees it unquoted, a local child splits it at spaces
   * @param words - its arguments; quoted for the remote shell so that they arrive verbatim
   * @throws {LoginError} host key or authentication
   * @throws {ConnectionError} unreachable, timeout
   * @throws {RemoteError} `command-not-started` — the server refused to run a command
   */
  start(program: string, words: readonly string[]): Promise<Connection>;
  /**
   * Begins to start a command that `start` is about to be asked for with the same words. Never
   * throws: what fails here is tried again by `start`. Absent where it would save nothing.
   */
  startAhead?(program: string, words: readonly string[]): void;
  /**
   * Starts a subsystem of the ssh server (`sftp`). Absent where there is no such thing. A refusal
   * may show only on the connection, which then ends.
   *
   * @throws {LoginError | ConnectionError} as {@link start}
   * @throws {RemoteError} `command-not-started`
   */
  startSubsystem?(name: string): Promise<Connection>;
  /** Ends the login. Running commands are destroyed. */
  close(): Promise<void>;
}
