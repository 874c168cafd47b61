/**
 * Reports pipes, sockets and devices that a server silently leaves out, as `rrsync` does since
 * rsync 3.5.
 */
import { S_IFREG } from '../../../tree/entry.ts';
import { showPath } from '../../../tree/file-failure.ts';
import { kindOf, type StoredKind } from '../job/control-entry.ts';
import { isNew, isTransfer } from '../job/itemize.ts';
import type { PushEntry } from '../source/push-entry.ts';
import type { PushJob } from '../job/push-job.ts';
import { type Answer, askOrRefuse, isWithheld } from '../job/question.ts';
import { withAncestors } from '../source/skeleton.ts';

/** Kinds that a server may be configured to leave out, or may not be permitted to make. */
const OPTIONAL_KINDS: ReadonlySet<StoredKind> = new Set(['device', 'special']);

function isOptional(entry: PushEntry, { settings }: PushJob): boolean {
  const kind = kindOf(entry);
  return kind === 'device' ? settings.devices : kind === 'special' && settings.specials;
}

/**
 * Finds missing objects of these kinds. The server is asked about files of the same names, because
 * it does not report on kinds that it does not store.
 *
 * @throws {RemoteError} `answers-withheld`
 * @throws as `accept`
 */
export async function findMissing(
  job: PushJob,
  objects: readonly PushEntry[],
): Promise<readonly PushEntry[]> {
  if (objects.length === 0) return [];
  const originals = new Map(objects.map((entry) => [standIn(entry), entry]));
  const standIns = new Map([...originals].map(([file, entry]) => [entry, file]));
  const missing: PushEntry[] = [];
  await askOrRefuse(
    job,
    {
      entries: withAncestors(job.snapshot.entries, new Set(objects)).map(
        (entry) => standIns.get(entry) ?? entry,
      ),
      options: { checksum: false, ignoreExisting: true, hardLinks: false },
      onItem: (entry, iflags) => {
        const original = originals.get(entry);
        if (original !== undefined && (isNew(iflags) || isTransfer(iflags))) missing.push(original);
      },
    },
    { what: 'whether pipes, sockets and devices were stored' },
  );
  return missing;
}

/** An empty file in the place of another object. */
function standIn({ path, mode, mtimeSec, mtimeNsec, uid, gid }: PushEntry): PushEntry {
  const bytes = new Uint8Array(0);
  return { path, mode: S_IFREG | (mode & 0o777), size: 0, mtimeSec, mtimeNsec, uid, gid, bytes };
}

/**
 * Names the objects that a push should have made and the server did not.
 *
 * @throws as `findMissing`; a server that does not answer is reported instead
 */
export async function reportUnstored(job: PushJob): Promise<void> {
  const objects = job.snapshot.entries.filter((entry) => isOptional(entry, job));
  const { ledger } = job.context;
  const missing = await findMissing(job, objects).catch((error: unknown) => {
    if (!isWithheld(error)) throw error;
    ledger.note(
      'not-verified',
      'the server does not tell whether pipes, sockets and devices were stored',
    );
    return [];
  });
  for (const { plain, path } of missing) {
    ledger.failures++;
    ledger.note(
      'not-stored',
      `${showPath(plain?.path ?? path)} was not stored: the server leaves out ${WORDS} (--no-specials and --no-devices leave them out here)`,
    );
  }
}

const WORDS = 'pipes, sockets and devices, or may not make them';

/** Announces that a push will leave objects out. */
export function noteUnstored({ context }: PushJob, { mute }: Answer): void {
  if (![...mute].some((kind) => OPTIONAL_KINDS.has(kind))) return;
  context.ledger.note('not-stored', `the server leaves out ${WORDS}`);
}
