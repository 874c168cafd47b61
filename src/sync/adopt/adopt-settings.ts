/** Input and callbacks of an adoption. */
import type { CopySettings } from './adopt-copy.ts';
import type { PushSettings, PushReporter } from '../push/source/push-settings.ts';
import type { NewVaultPlace } from '../../vault/new-vault.ts';
import type { StoredConf } from '../../vault/stored-conf.ts';
import type { AdoptFinding } from './adopt-finding.ts';
import type { LoginQuestions } from '../reach/destination-options.ts';
import type { Conf } from '../../gocryptfs/conf/config.ts';

/** What is adopted, and how. */
export interface AdoptSettings
  extends CopySettings, Pick<PushSettings, 'rsh' | 'acceptNewHostKey' | 'numericIds'> {
  readonly place: NewVaultPlace;
  /** Absolute path of the future vault directory. */
  readonly vaultDir: string;
  /** The future name of the remote. */
  readonly name: string;
  readonly dryRun: boolean;
  /** Repair damage in the copy. */
  readonly repair: boolean;
}

/** The key of a copy. */
export interface AdoptKey {
  /** 32 bytes. The caller of `unlock` overwrites it. */
  readonly masterkey: Uint8Array;
  /** The key was given, and no password has proved that it belongs to the copy. */
  readonly isUnproven: boolean;
  /** The conf of `gocryptfs -reverse` in the source, if it wraps the same key. */
  readonly reverseConf?: StoredConf;
}

/** Callbacks and prompts of an adoption. */
export interface AdoptSurroundings {
  readonly reporter: Pick<PushReporter, 'warning' | 'progress'> & {
    finding(finding: AdoptFinding): void;
    /** Reports the plaintext objects of the copy that were surveyed so far. */
    surveyed(objects: number): void;
  };
  readonly signal: AbortSignal;
  readonly questions: LoginQuestions;
  /**
   * Opens the key of the copy.
   *
   * @throws {PasswordError} and everything that opening a conf throws
   */
  unlock(conf: Conf, confBytes: Uint8Array): Promise<AdoptKey>;
}
