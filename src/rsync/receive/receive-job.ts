/** What all parts of the receiving side share. */
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

/** Everything that the parts of the receiving side share. */
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
  /** Ask for whole files, without sums of what is there: cheaper when nothing is far away. */
  readonly wholeFile: boolean;
  /** Bytes by which a file may exceed twice its announced size and be stored. */
  readonly growthMax: number;
  /** Bytes beyond that after which the sender counts as hostile. */
  readonly excessMax: number;
  /** The root was made for this transfer. */
  readonly rootIsNew: boolean;
  /** A root that was there keeps its mode and owner. */
  readonly keepsRoot: boolean;
  /** Whether anything is to be done about an entry; it is in the list all the same. */
  readonly wants: (entry: FlistEntry) => boolean;
  /** One object could not be stored; the rest goes on. */
  readonly report: (error: EcsyncError, entry?: FlistEntry) => void;
  /** What is done with an entry (`ITEM_*`), as the sender is told. */
  readonly onItem: (entry: FlistEntry, iflags: number, xname: Uint8Array | undefined) => void;
  /** So many bytes of a file's content are here; now and then within large files. */
  readonly onProgress: (entry: FlistEntry, bytes: number) => void;
  /** A file has its name. */
  readonly onStored: (entry: FlistEntry, literalBytes: number, matchedBytes: number) => void;
  readonly onDeleted: (path: Uint8Array, isDirectory: boolean) => void;
  /** Something of our own goes on that the peer cannot see. */
  readonly busy: () => void;
  /** Throws what ended the conversation, if anything did. */
  readonly assertAlive: () => void;
}
