/**
 * ecsync as a library: open a vault, push it, and catch what can go wrong.
 *
 * ```js
 * import * as ecsync from 'ecsync';
 *
 * const vault = await ecsync.unlockVault({ folder: '/home/me/photos' }, { password: 'secret' });
 * const lock = ecsync.acquireLock(ecsync.vaultFiles(vault.vaultDir).lock);
 * try {
 *   const { platform } = process;
 *   const destination = ecsync.parseDestination('ssh://me@example.org/photos', { platform });
 *   const settings = { ...ecsync.defaultPushSettings(vault, destination), delete: true };
 *   const summary = await ecsync.push(settings, vault, {
 *     ...ecsync.pushMemory(vault, destination),
 *     reporter: { item: () => {}, warning: console.warn, progress: () => {} },
 *     signal: AbortSignal.timeout(3_600_000),
 *   });
 *   process.exitCode = summary.exitCode;
 * } finally {
 *   lock.release();
 *   await vault.close();
 * }
 * ```
 *
 * Every failure is an {@link EcsyncError} with a stable `code`, an `exitCode` and mostly a `hint`.
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
  type ErrorDetails,
} from './errors.ts';

export { assertNamesTold, type NameModifiers } from './gocryptfs/conf/conf-claims.ts';
export { parseConf, serialiseConf, type Conf } from './gocryptfs/conf/config.ts';
export { createConf } from './gocryptfs/conf/keys.ts';

export {
  makeVault as createVault,
  type NewVaultKey,
  type NewVaultPlace,
} from './vault/new-vault.ts';
export type { VaultPlace } from './vault/vault.ts';
export { vaultFiles } from './vault/files/vault-files.ts';
export type { RemoteConfig, VaultConfig } from './vault/config/config.ts';
export {
  formatDestination,
  parseDestination,
  type Destination,
} from './vault/destination/destination.ts';
export { acquireLock, type Lock } from './vault/lock/lock.ts';

export { FilterRules } from './tree/filter/filter-syntax.ts';
export type { FilterRule } from './tree/filter/filter.ts';

export type { LoginQuestions } from './sync/reach/destination-options.ts';
export { unlockVault, type OpenVault, type VaultSecret } from './sync/push/opened-vault.ts';
export { pushMemory, type PushMemory } from './sync/push/memory/vault-memory.ts';
export { push, type PushSurroundings } from './sync/push/push.ts';
export type { MoveStores } from './sync/push/memory/moves.ts';
export { restore, type RestoreSurroundings } from './sync/restore/restore.ts';
export type {
  Overwrite,
  RestoreProgress,
  RestoreReporter,
  RestoreSettings,
  RestoreSummary,
} from './sync/restore/restore-settings.ts';
export { plan, type PlanSummary } from './sync/push/plan.ts';
export { verify, type VerifyOptions, type VerifySummary } from './sync/check/verify.ts';
export type { VerifyFinding } from './sync/check/verify-finding.ts';
export { defaultPushSettings } from './sync/push/source/push-settings.ts';
export type {
  ItemLine,
  PushProgress,
  PushReporter,
  PushSettings,
  PushSummary,
  PushWarning,
} from './sync/push/source/push-settings.ts';
export type { StateStore } from './sync/push/memory/vault-memory.ts';
export type { CopyKeys, UnlockCopy } from './sync/push/memory/copy-keys.ts';
