import type { EcsyncError } from '../errors.ts';
import type { Entry } from '../tree/entry.ts';
import type { Store } from '../tree/store.ts';
import type { AttributePolicy } from './attribute-policy.ts';
import type { StrongSums } from './checksums.ts';
import type { Session } from './handshake.ts';
import type { MultiplexReader, MultiplexWriter } from './multiplex.ts';
import type { TransferOptions } from './options.ts';
import type { ReceivedList } from './received-list.ts';

/** Everything that the parts of the receiving side share. */
export interface ReceiveJob<E extends Entry> {
  readonly session: Session;
  readonly options: TransferOptions;
  readonly store: Store<E>;
  readonly list: ReceivedList;
  readonly policy: AttributePolicy;
  readonly sums: StrongSums;
  readonly reader: MultiplexReader;
  readonly writer: MultiplexWriter;
  /** Ask for whole files, without sums of what is there: cheaper when nothing is far away. */
  readonly wholeFile: boolean;
  /** Bytes by which a file may exceed twice its announced size. */
  readonly growthMax: number;
  /** The root was made for this transfer. */
  readonly rootIsNew: boolean;
  /** One object could not be stored; the rest goes on. */
  readonly report: (error: EcsyncError) => void;
}
