/** How far a check of a copy is, and what it comes to. */
import type { ExitCode } from '../../errors.ts';

/** How far a check is. The total is not known before the end. */
export interface FsckProgress {
  readonly filesDone: number;
  readonly bytesDone: number;
  readonly damaged: number;
  readonly current: Uint8Array;
}

/** What a whole check came to. */
export interface FsckSummary {
  readonly files: number;
  /** Of those, how many were read; absent when all of them should be. */
  readonly filesSampled?: number;
  readonly folders: number;
  readonly links: number;
  /** Devices, pipes and sockets. */
  readonly others: number;
  /** Ciphertext that was read and authenticated. */
  readonly bytesRead: number;
  /** Findings by severity. */
  readonly damaged: number;
  readonly unread: number;
  readonly notes: number;
  /** Whether it was compared with anything where files and folders belong. */
  readonly placesChecked: boolean;
  /** 0; 26 for damage; otherwise 24 when everything unread vanished or changed, 23 when not. */
  readonly exitCode: ExitCode;
}
