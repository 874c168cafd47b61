/** Input and callbacks of a check of a copy. */
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
   * Opens the copy as a tree of ciphertext.
   *
   * @param onProblem - receives everything that cannot be read
   */
  readonly openTree: (onProblem: (path: Uint8Array, error: EcsyncError) => void) => Tree<C>;
  readonly layout: Layout;
  /** The expected gocryptfs.conf of the copy, if it is known. */
  readonly conf?: Uint8Array;
  /** Only ecsync has written to the copy, so full blocks of zeros and random nonces are damage. */
  readonly isOnlyEcsync: boolean;
  /** Report full blocks of zeros that gocryptfs may have left as notes. Default: as damage. */
  readonly allowHoles?: boolean;
  /**
   * Verify that every nonce is the one that ecsync chooses, which doubles the cost of decryption.
   * Needs `identities`.
   */
  readonly checksNonces?: boolean;
  /**
   * Compares the identity of every object with its place. It must keep misplaced objects. With it,
   * folders whose `gocryptfs.diriv` is lost can be read.
   */
  readonly identities?: IdentityCheck;
  /** Foreign objects that are kept in the copy on purpose. */
  readonly kept?: Pick<KeptNames, 'explains'>;
  /** What the last push left in the copy, if it is known. */
  readonly lastPush?: LastPush | undefined;
  /**
   * Reads the content of all files in one run after the structure. Absent: each file is read when
   * it is listed.
   */
  readonly contents?: ContentSource<C>;
  /** Whether a file's content is read, by its plaintext path. Everything else is always checked. */
  readonly sample?: (plainPath: Uint8Array) => boolean;
}

/** Receives the findings of a check as they are made. */
export interface FsckReporter {
  finding(finding: FsckFinding): void;
  progress(progress: FsckProgress): void;
}
