/** What the adoption of a copy is told, and what it reports. */
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
  /** Absolute path of the vault directory to be. */
  readonly vaultDir: string;
  /** What the remote is called from now on. */
  readonly name: string;
  readonly dryRun: boolean;
  /** Mend what is damaged in the copy. */
  readonly repair: boolean;
}

/** The key of a copy. */
export interface AdoptKey {
  /** 32 bytes. Whoever made it overwrites it. */
  readonly masterkey: Uint8Array;
  /** It was told, and no password has shown that it belongs to the copy. */
  readonly isUnproven: boolean;
  /** The conf of `gocryptfs -reverse` in the source, when it wraps the same key. */
  readonly reverseConf?: StoredConf;
}

/** What adopting talks to. */
export interface AdoptSurroundings {
  readonly reporter: Pick<PushReporter, 'warning' | 'progress'> & {
    finding(finding: AdoptFinding): void;
    /** Plaintext objects of the copy that were looked at so far. */
    surveyed(objects: number): void;
  };
  readonly signal: AbortSignal;
  readonly questions: LoginQuestions;
  /** Opens the key of the copy. @throws {PasswordError} and all that opening a conf throws */
  unlock(conf: Conf, confBytes: Uint8Array): Promise<AdoptKey>;
}
