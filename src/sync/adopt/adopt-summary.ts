/** What adopting and cloning a copy come to. */
import type { Conf } from '../../gocryptfs/conf/config.ts';
import type { Derivation } from '../../gocryptfs/layout.ts';
import type { RestoreSummary } from '../restore/restore-settings.ts';

/** How a copy compares with its source, by size, time and attributes: what a dry run says. */
export interface AdoptComparison {
  /** Plaintext objects of the source. */
  readonly filesTotal: number;
  readonly matching: number;
  /** There, but with other content or attributes. */
  readonly differing: number;
  readonly missing: number;
  /** Objects of the copy that the source does not have. */
  readonly extra: number;
  /** Files whose content the next push sends or compares, and their plaintext bytes. */
  readonly filesToSend: number;
  readonly bytesToSend: number;
}

/** What adopting came to. */
export interface AdoptSummary extends AdoptComparison {
  /** Absent after a dry run. */
  readonly vaultDir?: string;
  readonly derivation: Derivation;
  readonly timeShiftSec?: 0 | 10;
  /** The conf of `gocryptfs -reverse` in the source is used in place. */
  readonly confInSource: boolean;
  readonly conf: Conf;
  /** Damage found, and how much of it was mended. */
  readonly damaged: number;
  readonly mended: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
}

/** What cloning came to. */
export interface CloneSummary extends RestoreSummary {
  /** Absent when something could not be restored: then no vault was made. */
  readonly vaultDir?: string;
}
