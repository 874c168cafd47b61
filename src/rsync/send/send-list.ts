/** Sends everything before the first request: filter list, file list and id lists. */
import type { EcsyncError } from '../../errors.ts';
import { isRegularFile, type Entry } from '../../tree/entry.ts';
import {
  CHECKSUM_LENGTH,
  createMd5Sum,
  type RunningSum,
  type StrongSums,
} from '../wire/checksums.ts';
import { IOERR_GENERAL, MSG_IO_ERROR } from '../wire/constants.ts';
import type { Conversation } from '../wire/conversation.ts';
import { FileChunks } from './file-chunks.ts';
import { wantsFilterList, writeFilterList } from '../flist/filter-list.ts';
import { FlistEncoder } from '../flist/encode.ts';
import { flistFormat } from '../flist/format.ts';
import type { Session } from '../wire/handshake.ts';
import { writeIdLists, type IdNames } from '../flist/id-list.ts';
import { isDryRun } from '../wire/options.ts';
import { asEcsyncError, changedWhileRead, ioErrorBit } from '../wire/problem.ts';
import type { SendJob } from './send-job.ts';
import { XattrListWriter } from '../flist/xattrs.ts';

const CHUNK_LENGTH = 256 * 1024;
/** Files hashed concurrently for `-c`. */
const HASHED_AT_ONCE = 4;

/** What sending the list needs. */
export interface ListContext {
  readonly session: Session;
  readonly strong: StrongSums;
}

/**
 * Sends the filter list, the file list and the id lists.
 *
 * @returns the io_error bits that were sent with the list
 */
export async function sendList<E extends Entry>(
  conversation: Conversation,
  job: SendJob<E>,
  { session, strong }: ListContext,
): Promise<number> {
  const { writer } = conversation;
  const { protocol } = session;
  const format = flistFormat(session, job.options);
  let ioError = job.scanIncomplete === true ? IOERR_GENERAL : 0;
  // Older protocols cannot protect single directories, so the peer must delete nothing at all.
  if (protocol < 30 && job.entries.some((entry) => entry.contentUnknown)) ioError |= IOERR_GENERAL;
  if (wantsFilterList(job.options)) writeFilterList(writer, job.rules ?? [], protocol);
  const hashed = job.options.checksum ? await hashEntries(conversation, job, strong) : undefined;
  ioError |= hashed?.ioError ?? 0;
  const { xattrs } = job.options;
  const encoder = new FlistEncoder(
    format,
    xattrs === true ? new XattrListWriter(await createMd5Sum()) : undefined,
  );
  for (const [i, entry] of job.entries.entries()) {
    encoder.writeEntry(writer, entry, hashed?.sums.subarray(i * CHECKSUM_LENGTH));
    if (writer.blocked) await conversation.drained();
  }
  encoder.writeEnd(writer, ioError);
  writeIdLists(writer, format, usedNames(job.names, encoder));
  if (protocol < 30) writer.int32(ioError);
  else if (ioError !== 0 && !format.safeEnd) writer.message(MSG_IO_ERROR, int32(ioError));
  writer.flush();
  await conversation.drained();
  return ioError;
}

/** Only the names of owners in the list: the server need not learn who else has an account here. */
function usedNames(names: IdNames | undefined, { uids, gids }: FlistEncoder): IdNames {
  if (names === undefined) return { users: new Map(), groups: new Map() };
  const named = (all: ReadonlyMap<number, string>, used: ReadonlySet<number>): typeof all =>
    new Map([...all].filter(([id]) => used.has(id)));
  return { users: named(names.users, uids), groups: named(names.groups, gids) };
}

/** A number as the payload of a message. */
export function int32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value, 0);
  return bytes;
}

/** The list checksums of all regular files, 16 bytes per entry; zeros for other entries. */
async function hashEntries<E extends Entry>(
  conversation: Conversation,
  job: SendJob<E>,
  strong: StrongSums,
): Promise<{ sums: Uint8Array; ioError: number }> {
  const { entries } = job;
  const sums = new Uint8Array(entries.length * CHECKSUM_LENGTH);
  let ioError = 0;
  let next = 0;
  const hashMore = async (): Promise<void> => {
    const sum = await strong.createListSum();
    while (next < entries.length) {
      const i = next++;
      const entry = entries[i];
      if (entry === undefined || !isRegularFile(entry)) continue;
      await conversation.drained();
      const error = await hashFile(conversation, job, entry, sum);
      sums.set(sum.digest(), i * CHECKSUM_LENGTH);
      if (error === undefined) continue;
      ioError |= ioErrorBit(error);
      job.onProblem?.(entry, error);
    }
  };
  await Promise.all(Array.from({ length: HASHED_AT_ONCE }, hashMore));
  return { sums, ioError };
}

/** Feeds a file to a running sum; returns the error if reading failed. */
async function hashFile<E extends Entry>(
  conversation: Conversation,
  job: SendJob<E>,
  entry: E,
  sum: RunningSum,
): Promise<EcsyncError | undefined> {
  const { options } = job;
  try {
    const file = await job.open(entry, 0);
    const chunks = new FileChunks(file, { length: CHUNK_LENGTH, isFree: true });
    let hasChanged = false;
    try {
      for (let chunk = await chunks.next(); chunk !== undefined; chunk = await chunks.next()) {
        conversation.busy();
        sum.update(chunk);
      }
    } finally {
      await chunks.settled();
      hasChanged = (await file.close()) === 'changed';
    }
    // Outside a dry run, sending the file reports the change.
    return hasChanged && isDryRun(options) ? changedWhileRead(entry) : undefined;
  } catch (error) {
    return asEcsyncError(error, entry);
  }
}
