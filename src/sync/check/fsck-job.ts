/** What a check of a copy is told, and what it reports. */
import type { Entry, Tree } from '../../tree/entry.ts';
import type { EcsyncError } from '../../errors.ts';
import type { Layout } from '../../gocryptfs/layout.ts';
import type { IdentityCheck } from '../../view/decrypt/identity-check.ts';
import type { KeptNames } from '../push/job/kept-names.ts';
import type { LastPush } from '../push/memory/last-push.ts';
import type { ContentSource } from '../copy/content-source.ts';
import type { FsckFinding } from '../copy/fsck-finding.ts';
import type { FsckProgress } from './fsck-summary.ts';

/** A copy, and how to check it. */
export interface FsckJob<C extends Entry> {
  /**
   * The copy as a tree of ciphertext.
   *
   * @param onProblem - to be told of everything that cannot be read
   */
  readonly openTree: (onProblem: (path: Uint8Array, error: EcsyncError) => void) => Tree<C>;
  readonly layout: Layout;
  /** What the copy's gocryptfs.conf should be, where that is known. */
  readonly conf?: Uint8Array;
  /** Nothing but ecsync has written to the copy: full blocks of zeros, and random nonces, are damage. */
  readonly isOnlyEcsync: boolean;
  /** Full blocks of zeros that gocryptfs may have left are worth a note only. Default: damage. */
  readonly allowHoles?: boolean;
  /**
   * Look whether every nonce is the one that ecsync chooses, which costs as much again as decrypting.
   * Needs `identities`.
   */
  readonly checksNonces?: boolean;
  /**
   * Looks whether everything has the identity of its place; it has to keep what is misplaced. By it
   * folders are read whose `gocryptfs.diriv` is lost.
   */
  readonly identities?: IdentityCheck;
  /** What is not of the copy and was said to be kept there. */
  readonly kept?: Pick<KeptNames, 'explains'>;
  /** What the last push left there, where that is known. */
  readonly lastPush?: LastPush | undefined;
  /** Gives the content of all files in one go, after the structure. Absent: each as it is met. */
  readonly contents?: ContentSource<C>;
  /** Whether a file's content is read, by its plaintext path; everything else is checked anyway. */
  readonly sample?: (plainPath: Uint8Array) => boolean;
}

/** Hears what a check finds, as it finds it. */
export interface FsckReporter {
  finding(finding: FsckFinding): void;
  progress(progress: FsckProgress): void;
}
