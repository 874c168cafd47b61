/**
 * The error classes: one root class, a closed set of causes, and for each the exit code of the
 * command line. This file imports nothing.
 *
 * A class declares the codes it may carry. This prevents a code from getting the exit code of
 * another class, and a misspelt one from compiling. Codes are part of the contract with scripts and
 * never change.
 */

/** Numbers for shells and schedulers. The table is part of the command line's contract. */
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

/** Additional data of an error. */
export interface ErrorDetails {
  /** The remedy: one or two imperative sentences for the user. */
  readonly hint?: string;
  /** Facts for programs (`--json`): paths, numbers, limits. Never secrets. */
  readonly facts?: Readonly<Record<string, string | number | boolean>>;
  /** The underlying error, always kept if there is one. */
  readonly cause?: unknown;
}

/**
 * Root of all errors thrown by ecsync. `message` is lower-case, one line, names the path or the
 * peer, and holds no secret. The renderer escapes foreign bytes in it before a terminal shows them.
 */
export abstract class EcsyncError extends Error {
  /** Stable, kebab-case, for scripts: `host-key-unknown`, `sum-head-invalid`, … */
  abstract readonly code: ErrorCode;
  abstract readonly exitCode: ExitCode;
  readonly hint: string | undefined;
  readonly facts: Readonly<Record<string, string | number | boolean>>;

  constructor(message: string, details: ErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.hint = details.hint;
    this.facts = details.facts ?? {};
  }
}

/** Root of the classes below: each has a closed set of codes. */
abstract class CodedError<Code extends ErrorCode> extends EcsyncError {
  readonly code: Code;

  constructor(code: Code, message: string, details: ErrorDetails = {}) {
    super(message, details);
    this.code = code;
  }
}

// prettier-ignore
export type BugCode =
  | 'filter-rule-too-long' | 'invariant' | 'key-not-opened' | 'name-too-long' | 'string-too-long'
  | 'underflow' | 'unsafe-integer' | 'worker-lost';

/** An internal invariant failed, which is a bug worth a report. */
export class BugError extends CodedError<BugCode> {
  readonly exitCode = ExitCode.unexpected;
}

// prettier-ignore
export type UsageCode =
  | 'at-invalid' | 'closed' | 'command-invalid' | 'conf-missing' | 'config-edit' | 'config-invalid'
  | 'config-not-yours' | 'config-unknown-key' | 'config-unreadable' | 'conflicting-option'
  | 'conflicting-options' | 'credential-unsupported' | 'crontab-damaged' | 'destination-invalid'
  | 'destination-overlaps' | 'destination-password' | 'destination-unsupported'
  | 'duration-invalid' | 'error' | 'every-invalid' | 'excess-arguments' | 'filter-file-unreadable'
  | 'filter-invalid' | 'filter-unsupported' | 'hook-not-started' | 'host-invalid'
  | 'input-too-long' | 'inside-vault-dir' | 'invalid-argument' | 'jitter-too-long'
  | 'key-fetch-place' | 'key-invalid' | 'key-unreadable' | 'known-vaults-unreadable'
  | 'layout-differs' | 'layout-unknown' | 'masterkey-on-command-line' | 'missing-argument'
  | 'missing-mandatory-option-value' | 'no-command' | 'no-help' | 'no-remote' | 'no-scheduler'
  | 'not-a-folder' | 'not-encrypted' | 'not-in-this-release' | 'not-over-ssh' | 'option-invalid'
  | 'option-missing-argument' | 'option-unknown' | 'passfile-missing' | 'password-source-set'
  | 'path-escape-invalid' | 'path-invalid' | 'path-missing' | 'path-not-utf8' | 'path-outside'
  | 'platform-elsewhere' | 'port-invalid' | 'proxy-command-failed' | 'remote-and-path'
  | 'remote-exists' | 'remote-name-invalid' | 'remote-other-form' | 'reverse-conf-found'
  | 'rsh-port' | 'schedule-missing' | 'schedule-push-words' | 'schedule-silent'
  | 'schedule-too-long' | 'schedule-word-invalid' | 'scheduler-failed' | 'scheduler-missing'
  | 'scryptn-out-of-range' | 'server-words-invalid' | 'source-differs' | 'source-empty'
  | 'ssh-config-invalid' | 'ssh-config-unsupported' | 'target-not-empty' | 'target-overlaps'
  | 'unknown-command' | 'unknown-option' | 'user-invalid' | 'vault-exists' | 'word-invalid'
  | 'xattrs-unsupported';

/** The command line or a configuration file is invalid. */
export class UsageError extends CodedError<UsageCode> {
  readonly exitCode = ExitCode.usage;
}

// prettier-ignore
export type VaultCode =
  | 'adopted-changed' | 'adopted-invalid' | 'adopted-missing' | 'conf-bom' | 'conf-changed'
  | 'conf-duplicate-field' | 'conf-fido2-invalid' | 'conf-field-invalid' | 'conf-flag-unknown'
  | 'conf-flags-conflict' | 'conf-flags-invalid' | 'conf-key-invalid' | 'conf-longnamemax-invalid'
  | 'conf-missing' | 'conf-not-json' | 'conf-not-utf8' | 'conf-scrypt-invalid'
  | 'conf-scrypt-too-costly' | 'conf-seal-invalid' | 'conf-too-large' | 'conf-too-old'
  | 'conf-unusable' | 'conf-version-unsupported' | 'copy-gone' | 'copy-missing'
  | 'destination-encrypted' | 'destination-mirror' | 'destination-nested' | 'destination-not-a-copy'
  | 'destination-other-vault' | 'fido2-unsupported' | 'key-check-missing' | 'layout-unproven'
  | 'layout-unsupported' | 'lock-failed' | 'memory-damaged' | 'no-vault' | 'not-a-copy'
  | 'not-a-mirror' | 'not-encrypted' | 'root-unknown' | 'scrypt-cost-unagreed' | 'scrypt-failed'
  | 'source-missing' | 'vault-incomplete' | 'vault-not-written' | 'vault-not-yours'
  | 'vault-orders-foreign' | 'vault-unreadable';

/** There is no vault here, or it is not usable (conf missing, invalid, unsupported, changed). */
export class VaultError extends CodedError<VaultCode> {
  readonly exitCode = ExitCode.noVault;
}

export type LockedCode = 'lock-lost' | 'locked';

/** Another run holds the vault's lock. */
export class LockedError extends CodedError<LockedCode> {
  readonly exitCode = ExitCode.locked;
}

// prettier-ignore
export type PasswordCode =
  | 'credential-missing' | 'empty-password' | 'keychain-failed' | 'keychain-no-entry'
  | 'keychain-not-stored' | 'keychain-program-missing' | 'keychain-timeout' | 'masterkey-invalid'
  | 'passfile-unreadable' | 'passfile-unsafe' | 'password-command-failed' | 'password-empty'
  | 'password-missing' | 'password-newline' | 'password-too-long' | 'password-utf16'
  | 'passwords-differ' | 'wrong-masterkey' | 'wrong-password';

/** Wrong or missing password or key. */
export class PasswordError extends CodedError<PasswordCode> {
  readonly exitCode = ExitCode.password;
}

// prettier-ignore
export type LoginCode =
  | 'algorithms-mismatch' | 'daemon-auth-too-old' | 'daemon-password-missing' | 'host-key-changed'
  | 'host-key-revoked' | 'host-key-unknown' | 'known-hosts-too-large' | 'known-hosts-unnamed'
  | 'known-hosts-unreadable' | 'known-hosts-unwritable' | 'login-refused' | 'passphrase-missing'
  | 'passphrase-wrong';

/** The server cannot prove that it is the right one, or it refused our login. */
export class LoginError extends CodedError<LoginCode> {
  readonly exitCode = ExitCode.hostKeyOrLogin;
}

// prettier-ignore
export type RemoteCode =
  | 'answers-withheld' | 'command-not-started' | 'comparison-withheld' | 'daemon-refused'
  | 'delete-forbidden' | 'destination-broken' | 'destination-forbidden' | 'destination-missing' | 'destination-moved'
  | 'destination-read-only' | 'destination-unusable' | 'module-unknown' | 'no-common-checksum'
  | 'no-greeting' | 'not-a-daemon' | 'nothing-listed' | 'option-refused' | 'program-missing'
  | 'program-not-started' | 'remote-exit' | 'rsync-missing' | 'rsync-too-old' | 'server-busy'
  | 'sftp-refused' | 'shell-not-clean' | 'source-forbidden' | 'source-missing'
  | 'xattrs-unsupported';

/** The remote rsync could not be started, or refused the job. */
export class RemoteError extends CodedError<RemoteCode> {
  readonly exitCode = ExitCode.remoteRefused;
}

// prettier-ignore
export type ProtocolCode =
  | 'asked-too-late' | 'asked-twice' | 'block-out-of-range' | 'challenge-invalid'
  | 'challenge-repeated' | 'content-endless' | 'daemon-text-too-long' | 'data-after-end'
  | 'del-stats-invalid' | 'entry-unasked' | 'filter-rule-invalid' | 'flist-invalid'
  | 'frame-invalid' | 'frame-too-long' | 'id-list-too-long' | 'inc-recurse-unasked'
  | 'list-too-large' | 'message-invalid' | 'ndx-out-of-range' | 'not-a-file' | 'number-too-large'
  | 'parent-missing' | 'reply-unrequested' | 'reply-without-content' | 'sftp-answer'
  | 'sftp-attributes' | 'sftp-data' | 'sftp-folder-loop' | 'sftp-handle' | 'sftp-link'
  | 'sftp-listing' | 'sftp-name' | 'sftp-number' | 'sftp-packet' | 'sftp-packet-length'
  | 'sftp-version' | 'statistics-invalid' | 'string-too-long' | 'sum-head-invalid'
  | 'sum-head-mismatch' | 'too-many-messages' | 'too-many-reports' | 'varint-invalid'
  | 'varlong-invalid' | 'xattr-request-invalid' | 'xattr-too-long' | 'xattr-unrequested'
  | 'xattrs-invalid' | 'xattrs-too-large';

/**
 * The peer broke the rsync protocol; the message says what arrived, what was allowed, and where.
 */
export class ProtocolError extends CodedError<ProtocolCode> {
  readonly exitCode = ExitCode.remoteRefused;
}

// prettier-ignore
export type ConnectionCode =
  | 'command-ended' | 'connect-failed' | 'connect-timeout' | 'connection-closed'
  | 'connection-lost' | 'daemon-busy' | 'handshake-failed' | 'timeout';

/** A timeout, or a lost connection; the next run continues. */
export class ConnectionError extends CodedError<ConnectionCode> {
  readonly exitCode = ExitCode.connection;
}

// prettier-ignore
export type HookCode =
  | 'hook-failed' | 'hook-source-missing' | 'hook-source-other' | 'hook-source-overlaps';

/** The user's program that decides whether to run has failed. Nothing was done. */
export class HookError extends CodedError<HookCode> {
  readonly exitCode = ExitCode.unexpected;
}

/** The error of a partly damaged file carries the code of the damage. */
// prettier-ignore
export type FileCode =
  | IntegrityCode
  | 'attributes-failed' | 'changed' | 'conf-not-written' | 'content-damaged' | 'content-too-long'
  | 'file-too-large' | 'folder-in-the-way' | 'folder-not-entered' | 'history-not-written'
  | 'ignore-file-unusable' | 'in-the-way' | 'link-broken' | 'link-circle' | 'link-outside'
  | 'link-read-only' | 'lock-failed' | 'log-not-written' | 'metrics-not-written' | 'name-reserved'
  | 'name-unsafe' | 'name-unsupported' | 'no-working-folder' | 'not-a-file' | 'not-a-folder'
  | 'not-found' | 'not-mended' | 'not-sent' | 'open-failed' | 'output-not-written'
  | 'parent-missing' | 'path-too-long' | 'permission-denied' | 'read-failed' | 'remote-disk-full'
  | 'remote-partial' | 'schedule-not-written' | 'sftp-failure' | 'size-differs'
  | 'special-unsupported' | 'state-not-written' | 'symlink-refused' | 'target-too-long'
  | 'temp-dir-missing' | 'time-out-of-range' | 'unreadable' | 'verification-failed'
  | 'write-failed' | 'xattr-name-unsupported' | 'xattr-refused' | 'xattr-value-too-long'
  | 'xattrs-not-sent' | 'xattrs-unavailable' | 'xattrs-unreadable' | 'xattrs-unwritable';

/** A file or folder of the source or of a local destination could not be read or stored. */
export class FileError extends CodedError<FileCode> {
  readonly exitCode = ExitCode.partial;
}

export type VanishedCode = 'changed' | 'changed-while-read' | 'files-vanished' | 'vanished';

/** A source file vanished, or changed while it was being read. */
export class VanishedError extends CodedError<VanishedCode> {
  readonly exitCode = ExitCode.vanished;
}

export type DeleteLimitCode = 'delete-limit';

/** The server stopped deleting at a limit. */
export class DeleteLimitError extends CodedError<DeleteLimitCode> {
  readonly exitCode = ExitCode.deleteLimit;
}

// prettier-ignore
export type IntegrityCode =
  | 'block-size-illegal' | 'cipher-size-illegal' | 'conf-misplaced' | 'conf-seal-wrong'
  | 'copy-damaged' | 'diriv-invalid' | 'diriv-lost' | 'diriv-misplaced' | 'diriv-missing'
  | 'diriv-repeated' | 'diriv-unexpected' | 'file-copied' | 'file-exchanged' | 'file-moved'
  | 'foreign-object' | 'header-invalid' | 'hole' | 'hole-filled' | 'name-file-invalid'
  | 'name-file-missing' | 'name-file-orphan' | 'name-form-invalid' | 'name-invalid'
  | 'name-unknown' | 'nonce-foreign' | 'nonce-zero' | 'seal-forged' | 'seal-invalid'
  | 'tag-mismatch' | 'target-invalid'
  | 'target-misplaced' | 'temporary-directory' | 'unreadable' | 'xattr-name-invalid'
  | 'xattr-value-invalid';

/** The key did not write this ciphertext: it is damaged or forged. */
export class IntegrityError extends CodedError<IntegrityCode> {
  readonly exitCode = ExitCode.mismatch;
}

export type NotNowCode = 'copy-gone' | 'max-time' | 'offline';

/** The conditions that were set for a run do not hold now. */
export class NotNowError extends CodedError<NotNowCode> {
  readonly exitCode = ExitCode.notNow;
}

export type InterruptedCode = 'interrupted';

/** Ctrl-C or a termination signal. */
export class InterruptedError extends CodedError<InterruptedCode> {
  readonly exitCode = ExitCode.interrupted;
}

/** The codes of all errors. */
export type ErrorCode =
  | BugCode
  | UsageCode
  | VaultCode
  | LockedCode
  | PasswordCode
  | LoginCode
  | RemoteCode
  | ProtocolCode
  | ConnectionCode
  | HookCode
  | FileCode
  | VanishedCode
  | DeleteLimitCode
  | IntegrityCode
  | NotNowCode
  | InterruptedCode;
