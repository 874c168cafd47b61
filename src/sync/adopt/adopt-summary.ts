/** Results of adopting and cloning a copy. */
import type { Conf } from '../../gocryptfs/conf/config.ts';
import type { Derivation } from '../../gocryptfs/layout.ts';
import type { RestoreSummary } from '../restore/restore-settings.ts';

/** Compares a copy with its source by size, time and attributes, as a dry run reports it. */
export interface AdoptComparison {
  /** Plaintext objects of the source. */
  readonly filesTotal: number;
  readonly matching: number;
  /** Objects of both that differ in content or attributes. */
  readonly differing: number;
  readonly missing: number;
  /** Objects that only the copy has, without foreign ones that no push removes. */
  readonly extra: number;
  /** Files whose content the next push sends or compares, and their plaintext bytes. */
  readonly filesToSend: number;
  readonly bytesToSend: number;
}

/** The result of adopting. */
export interface AdoptSummary extends AdoptComparison {
  /** Absent after a dry run. */
  readonly vaultDir?: string;
  readonly derivation: Derivation;
  readonly timeShiftSec?: 0 | 10;
  /** The conf of `gocryptfs -reverse` in the source is used in place. */
  readonly confInSource: boolean;
  readonly conf: Conf;
  /** Damaged objects, and how many of them were repaired. */
  readonly damaged: number;
  readonly mended: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
}

/** The result of cloning. */
export interface CloneSummary extends RestoreSummary {
  /** Absent if something could not be restored: then no vault was made. */
  readonly vaultDir?: string;
}
