/**
 * The error classes: one root class, a closed set of causes, and for each the exit code of the
 * command line. This file imports nothing.
 */

/** Numbers a shell or a scheduler sees; the table is part of the command line's contract. */
export const ExitCode = {
  ok: 0,
  unexpected: 1,
  usage: 2,
  overdue: 4,
  remoteRefused: 5,
  noVault: 10,
  locked: 11,
  password: 12,
  hostKeyOrLogin: 13,
  partial: 23,
  vanished: 24,
  deleteLimit: 25,
  mismatch: 26,
  connection: 30,
  notNow: 75,
  interrupted: 130,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** What an error carries beside its message. */
export interface ErrorDetails {
  /** The remedy: one or two imperative sentences for the person at the keyboard. */
  readonly hint?: string;
  /** Facts for machines (`--json`): paths, numbers, limits. Never secrets. */
  readonly facts?: Readonly<Record<string, string | number | boolean>>;
  /** The lower error, always kept when there is one. */
  readonly cause?: unknown;
}

/**
 * Root of all errors thrown by ecsync. `message` is lower-case, one line, names the path or the
 * peer, and holds no secret; foreign bytes in it are escaped by the renderer before a terminal
 * sees them.
 */
export abstract class EcsyncError extends Error {
  /** Stable, kebab-case, for scripts: `host-key-unknown`, `sum-head-invalid`, … */
  readonly code: string;
  abstract readonly exitCode: ExitCode;
  readonly hint: string | undefined;
  readonly facts: Readonly<Record<string, string | number | boolean>>;

  constructor(code: string, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.code = code;
    this.hint = details.hint;
    this.facts = details.facts ?? {};
  }
}

/** An internal invariant failed: our fault, worth a report. */
export class BugError extends EcsyncError {
  readonly exitCode = ExitCode.unexpected;
}

/** The command line or a configuration file makes no sense. */
export class UsageError extends EcsyncError {
  readonly exitCode = ExitCode.usage;
}

/** There is no vault here, or it is not usable (conf missing, invalid, unsupported, changed). */
export class VaultError extends EcsyncError {
  readonly exitCode = ExitCode.noVault;
}

/** Another run holds the vault's lock. */
export class LockedError extends EcsyncError {
  readonly exitCode = ExitCode.locked;
}

/** Wrong or missing password or key. */
export class PasswordError extends EcsyncError {
  readonly exitCode = ExitCode.password;
}

/** The server cannot prove that it is the right one, or it refused our login. */
export class LoginError extends EcsyncError {
  readonly exitCode = ExitCode.hostKeyOrLogin;
}

/** The remote rsync could not be started, or refused the job. */
export class RemoteError extends EcsyncError {
  readonly exitCode = ExitCode.remoteRefused;
}

/**
 * The peer broke the rsync protocol; the message says what arrived, what was allowed, and where.
 */
export class ProtocolError extends EcsyncError {
  readonly exitCode = ExitCode.remoteRefused;
}

/** A timeout, or a lost connection; the next run continues. */
export class ConnectionError extends EcsyncError {
  readonly exitCode = ExitCode.connection;
}

/** A program of the user that decides whether to run has failed: nothing was done. */
export class HookError extends EcsyncError {
  readonly exitCode = ExitCode.unexpected;
}

/** A file or folder of the source or of a local destination could not be read or stored. */
export class FileError extends EcsyncError {
  readonly exitCode = ExitCode.partial;
}

/** A source file vanished, or changed while it was being read. */
export class VanishedError extends EcsyncError {
  readonly exitCode = ExitCode.vanished;
}

/** The server stopped deleting at a limit. */
export class DeleteLimitError extends EcsyncError {
  readonly exitCode = ExitCode.deleteLimit;
}

/** The key did not write this ciphertext: it is damaged or forged. */
export class IntegrityError extends EcsyncError {
  readonly exitCode = ExitCode.mismatch;
}

/** The conditions that were set for a run do not hold now. */
export class NotNowError extends EcsyncError {
  readonly exitCode = ExitCode.notNow;
}

/** Ctrl-C or a termination signal. */
export class InterruptedError extends EcsyncError {
  readonly exitCode = ExitCode.interrupted;
}
