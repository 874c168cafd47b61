/**
 * The interfaces of a transport: remotes, which start commands, and connections to the commands.
 */
import type { Readable, Writable } from 'node:stream';
import type { EcsyncError } from '../errors.ts';

/** How a remote command ended. `code` is null if a signal or a lost connection ended it. */
export interface ExitStatus {
  readonly code: number | null;
  readonly signal: string | null;
}

/**
 * One running command of the peer, with its standard input and output as byte streams. It knows no
 * protocol. Its owner awaits `exited` or calls `destroy()`.
 */
export interface Connection {
  /**
   * Bytes from the peer. Ends when the peer closes its standard output; errors are ConnectionError.
   */
  readonly input: Readable;
  /**
   * Bytes to the peer, with back-pressure. Errors are ConnectionError, even after the peer has
   * died.
   */
  readonly output: Writable;
  /** The peer's standard error so far: at most the last 64 KiB, raw and untrusted. */
  stderrText(): string;
  /**
   * Resolves when the command has ended *and* its output and standard error were read to the end.
   *
   * @throws {ConnectionError} `connection-lost` — the connection broke
   */
  readonly exited: Promise<ExitStatus>;
  /**
   * The command was started ahead of the call of `start`. Conditions may have been different then,
   * or another unused command may still have been running: if it fails, another attempt may
   * succeed.
   */
  readonly startedAhead?: boolean;
  /**
   * Set if the protocol version was agreed on while the connection was opened, as with rsync
   * daemons. Both sides then begin after the exchange of versions.
   */
  readonly greeted?: { readonly protocol: number };
  /**
   * Adds a warning or error from the stream to {@link stderrText}. Present where the peer has no
   * standard error, as with rsync daemons.
   */
  addErrorText?(text: string): void;
  /** The error that ended a server in this process, if one did. */
  readonly failure?: EcsyncError | undefined;
  /** Ends the command at once (kills it, or closes the channel); idempotent. */
  destroy(): void;
}

/** A machine (possibly this one) that can start commands, also several at a time. */
export interface Remote {
  /** For messages: `user@host`, `this machine`, … never a secret. */
  readonly shownName: string;
  /**
   * Starts a command.
   *
   * @param program - command as the user configured it (`rsync`, `sudo rsync`); it goes to a remote
   *   shell unquoted, and is split at spaces for a local child
   * @param words - its arguments; quoted for the remote shell so that they arrive verbatim
   * @throws {LoginError} host key not accepted, or authentication failed
   * @throws {ConnectionError} unreachable, or timed out
   * @throws {RemoteError} `command-not-started` — the server refused to run a command
   */
  start(program: string, words: readonly string[]): Promise<Connection>;
  /**
   * Begins to start a command before the call of `start` with the same arguments. Never throws:
   * after a failure `start` tries again. Absent where it would save nothing.
   */
  startAhead?(program: string, words: readonly string[]): void;
  /**
   * Starts a subsystem of the ssh server (`sftp`). Absent if this is not ssh. A refusal may show
   * only on the connection, which then ends.
   *
   * @throws {LoginError | ConnectionError} as {@link start}
   * @throws {RemoteError} `command-not-started`
   */
  startSubsystem?(name: string): Promise<Connection>;
  /** Ends the login and destroys running commands. */
  close(): Promise<void>;
}
