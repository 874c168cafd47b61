/** The state and callbacks that all parts of the receiving side share. */
import type { EcsyncError } from '../../errors.ts';
import type { Entry } from '../../tree/entry.ts';
import type { Store } from '../../tree/store.ts';
import type { ArrivingXattrs } from './arriving-xattrs.ts';
import type { AttributePolicy } from './attribute-policy.ts';
import type { StrongSums } from '../wire/checksums.ts';
import type { FlistEntry } from '../flist/decode.ts';
import type { Session } from '../wire/handshake.ts';
import type { MultiplexReader, MultiplexWriter } from '../wire/multiplex.ts';
import type { TransferOptions } from '../wire/options.ts';
import type { ReceivedList } from './received-list.ts';

/** The state and callbacks that all parts of the receiving side share. */
export interface ReceiveJob<E extends Entry> {
  readonly session: Session;
  readonly options: TransferOptions;
  readonly store: Store<E>;
  readonly list: ReceivedList;
  readonly policy: AttributePolicy;
  /** Absent without `-X`. */
  readonly xattrs?: ArrivingXattrs;
  readonly sums: StrongSums;
  readonly reader: MultiplexReader;
  readonly writer: MultiplexWriter;
  /** Request whole files without block sums: cheaper if both sides are on one machine. */
  readonly wholeFile: boolean;
  /** Bytes by which a stored file may exceed twice its announced size. */
  readonly growthMax: number;
  /** Bytes beyond that limit after which the sender counts as hostile. */
  readonly excessMax: number;
  /** The root was created for this transfer. */
  readonly rootIsNew: boolean;
  /** An existing root keeps its mode and owner. */
  readonly keepsRoot: boolean;
  /** Whether an entry is handled at all; the list has it in any case. */
  readonly wants: (entry: FlistEntry) => boolean;
  /** One object could not be stored; the others continue. */
  readonly report: (error: EcsyncError, entry?: FlistEntry) => void;
  /** What is done with an entry (`ITEM_*`), as reported to the sender. */
  readonly onItem: (entry: FlistEntry, iflags: number, xname: Uint8Array | undefined) => void;
  /** Bytes of a file received so far; called from time to time within large files. */
  readonly onProgress: (entry: FlistEntry, bytes: number) => void;
  /** A file was renamed into place. */
  readonly onStored: (entry: FlistEntry, literalBytes: number, matchedBytes: number) => void;
  readonly onDeleted: (path: Uint8Array, isDirectory: boolean) => void;
  /** Our side works on something that the peer cannot see. */
  readonly busy: () => void;
  /** Throws the error that ended the conversation, if one did. */
  readonly assertAlive: () => void;
}
