/**
 * ecsync as a library: open a vault, push it, and get back what it holds.
 *
 * ```js
 * import { openVault } from 'ecsync';
 *
 * const vault = await openVault('/home/me/photos', { password: 'secret' });
 * try {
 *   const summary = await vault.push('ssh://me@example.org/photos', {
 *     delete: true,
 *     onWarning: ({ message }) => console.warn(message),
 *   });
 *   process.exitCode = summary.exitCode;
 * } finally {
 *   await vault.close();
 * }
 * ```
 *
 * A copy is opened without its vault by {@link openCopy}; {@link createVault}, {@link adoptCopy} and
 * {@link cloneCopy} make vaults. Every failure is an {@link EcsyncError} with a stable `code`, an `exitCode` and mostly
 * a `hint`. What could be done only in part is no failure: the `exitCode` of its summary says so.
 */
export {
  BugError,
  ConnectionError,
  DeleteLimitError,
  EcsyncError,
  ExitCode,
  FileError,
  IntegrityError,
  InterruptedError,
  LockedError,
  LoginError,
  NotNowError,
  PasswordError,
  ProtocolError,
  RemoteError,
  UsageError,
  VanishedError,
  VaultError,
  type ErrorCode,
  type ErrorDetails,
} from './errors.ts';

export {
  createVault,
  openVault,
  type CreateVaultOptions,
  type OpenVaultOptions,
} from './library/face/open-vault.ts';
export type { Vault, VaultRemote } from './library/face/vault.ts';
export type {
  VaultPlanOptions as PlanOptions,
  VaultPushOptions as PushOptions,
  VaultVerifyOptions as VerifyOptions,
} from './library/face/push-choice.ts';

export {
  adoptCopy,
  cloneCopy,
  openCopy,
  type AdoptCopyOptions,
  type CloneCopyOptions,
  type OpenCopyOptions,
} from './library/face/open-copy.ts';
export type { Copy } from './library/face/copy.ts';
export type {
  CopyBrowseOptions as BrowseOptions,
  CopyFindOptions as FindOptions,
  CopyFsckOptions as FsckOptions,
  CopyListOptions as ListOptions,
  CopyReachOptions as ReachOptions,
  CopyReadOptions as ReadFileOptions,
  CopyRestoreOptions as RestoreOptions,
} from './library/face/copy-choice.ts';
export type { CopyObject, CopyPath } from './library/face/copy-paths.ts';

export type { KeyOptions } from './library/face/given-secret.ts';
export type { ListeningOptions as RunOptions } from './library/face/listening.ts';
export type { CopyQuestions, Questions } from './library/face/answers.ts';
export type { UnknownHost } from './transport/ssh/options.ts';

export type {
  ItemLine,
  PlanSummary,
  PushProgress,
  PushSummary,
  PushWarning,
} from './sync/push/source/push-settings.ts';
export type { VerifySummary } from './sync/check/verify-summary.ts';
export type { VerifyFinding } from './sync/check/verify-summary.ts';
export type { RestoreProgress, RestoreSummary } from './sync/restore/restore-settings.ts';
export type { FsckProgress } from './sync/check/fsck-summary.ts';
export type { FsckRunSummary as FsckSummary } from './library/fsck-summary.ts';
export type { FsckFinding } from './sync/copy/fsck-finding.ts';
export type { AdoptedSummary as AdoptSummary } from './library/face/open-copy.ts';
export type { AdoptFinding } from './sync/adopt/adopt-finding.ts';
export type { CloneSummary } from './sync/adopt/adopt-summary.ts';
