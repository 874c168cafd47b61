/** Progress and result of a check of a copy. */
import type { ExitCode } from '../../errors.ts';

/** The progress of a check. The total is not known before the end. */
export interface FsckProgress {
  readonly filesDone: number;
  readonly bytesDone: number;
  readonly damaged: number;
  readonly current: Uint8Array;
}

/** The result of a whole check. */
export interface FsckSummary {
  readonly files: number;
  /** How many of them were read. Absent without `--sample`. */
  readonly filesSampled?: number;
  readonly folders: number;
  readonly links: number;
  /** Devices, pipes and sockets. */
  readonly others: number;
  /** Bytes of ciphertext that were read and authenticated. */
  readonly bytesRead: number;
  /** Findings by severity. */
  readonly damaged: number;
  readonly unread: number;
  readonly notes: number;
  /** Whether places of files and folders were checked. */
  readonly placesChecked: boolean;
  /** 0; 26 for damage; otherwise 24 if everything unread vanished or changed, and 23 if not. */
  readonly exitCode: ExitCode;
}
