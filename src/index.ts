/**
 * ecsync as a library: open a vault, push it, and catch what can go wrong.
 *
 * ```ts
 * const vault = openVault({ folder: '/home/me/photos' });
 * const masterkey = await unlockMasterkey(parseConf(vault.confBytes), password);
 * assertMasterkey(vault, masterkey);
 * const summary = await push(settings, { ...vault, masterkey }, { reporter, signal, store });
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

export { parseConf, serialiseConf, type Conf } from './gocryptfs/config.ts';
export { createConf, unlockMasterkey } from './gocryptfs/keys.ts';
export type { Derivation } from './gocryptfs/layout.ts';
export {
  InheritedIndex,
  type Inherited,
  type InheritedKind,
  type VirtualAttributes,
} from './view/inherited.ts';
export type { VirtualTimes } from './view/virtual-files.ts';

export { createVault, type NewVaultKey, type NewVaultPlace } from './vault/create-vault.ts';
export {
  assertMasterkey,
  openVault,
  openVaultFrame,
  type Vault,
  type VaultFrame,
  type VaultPlace,
} from './vault/vault.ts';
export { vaultFiles } from './vault/vault-files.ts';
export type { RemoteConfig, VaultConfig } from './vault/config.ts';
export { formatDestination, parseDestination, type Destination } from './vault/destination.ts';
export { acquireLock, type Lock } from './vault/lock.ts';
export { dropState, readState, readStateDigest, stateKey, writeState } from './vault/state.ts';

export { FilterRules } from './tree/filter-syntax.ts';
export type { FilterRule } from './tree/filter.ts';

export type { LoginQuestions } from './sync/destination-options.ts';
export { push, type OpenVault, type PushSurroundings, type StateStore } from './sync/push.ts';
export type { MoveStores } from './sync/moves.ts';
export { restore, type RestoreSurroundings } from './sync/restore.ts';
export type {
  CopyKeys,
  Overwrite,
  RestoreProgress,
  RestoreReporter,
  RestoreSettings,
  RestoreSummary,
  UnlockCopy,
} from './sync/restore-settings.ts';
export { plan, type PlanSummary } from './sync/plan.ts';
export { verify, type VerifyOptions, type VerifySummary } from './sync/verify.ts';
export type { VerifyFinding } from './sync/verify-finding.ts';
export type {
  ItemLine,
  PushProgress,
  PushReporter,
  PushSettings,
  PushSummary,
  PushWarning,
} from './sync/push-settings.ts';
