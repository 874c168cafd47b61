import { RemoteError } from '../errors.ts';
import { pathKey } from '../view/path-bytes.ts';
import { isCreation, isHardLink, isNew, isTransfer } from './itemize.ts';
import type { PushEntry } from './push-entry.ts';
import { accept, type PushJob, transferOptions } from './push-job.ts';
import { runRsync, type RunOutcome } from './rsync-run.ts';

/** What a destination has in place of a list. */
export interface Comparison {
  /** What is there and is another file, link or kind of object. */
  readonly differing: ReadonlySet<PushEntry>;
  /** What is not there. */
  readonly absent: ReadonlySet<PushEntry>;
}

/** A server's way of saying that it does not know or allow `--info`. */
const TELLING_REFUSED = /--info|unknown option|unrecognized option|syntax or usage|refuse/i;

/** `NAME exists (file change)`; before rsync 3.2.4 without the reason. */
const EXISTS = /^([\s\S]+) exists(?: \((\w+ change|uptodate)\))?\n?$/;
const OTHER_CONTENT: ReadonlySet<string | undefined> = new Set([
  'file change',
  'sum change',
  'type change',
]);

/**
 * Has the server compare a list with what it has, in dry runs: what would be made, and what would
 * take the place of something else. It is asked in a way that a server answers, too, which is made to
 * leave everything alone that exists (`rrsync -no-overwrite`).
 *
 * @param how.checksum - by content; otherwise as the push is asked to compare
 * @throws as `accept`, but for files that could not be examined
 */
export async function compareWithCopy(
  job: PushJob,
  entries: readonly PushEntry[],
  how: { readonly checksum?: boolean } = {},
): Promise<Comparison> {
  const { checksum = job.settings.checksum } = how;
  const told = await ask(job, entries, { checksum, ignoreExisting: true, tellSkipped: true });
  if (!isRefusal(told.outcome) && !told.saysNoMore) {
    acceptWhole(job, told.outcome);
    return { differing: told.differing, absent: told.wanted };
  }
  const absent = await ask(job, entries, { checksum, ignoreExisting: true });
  acceptWhole(job, absent.outcome);
  const either = await ask(job, entries, { checksum, ignoreExisting: false });
  acceptWhole(job, either.outcome);
  const differing = [...either.wanted].filter((entry) => !absent.wanted.has(entry));
  return { differing: new Set(differing), absent: absent.wanted };
}

interface Answer {
  readonly outcome: RunOutcome;
  /** What the server would make or ask for. */
  readonly wanted: ReadonlySet<PushEntry>;
  /** What it would leave alone though it differs. */
  readonly differing: ReadonlySet<PushEntry>;
  /** It says what exists, and not whether that differs. */
  readonly saysNoMore: boolean;
}

async function ask(
  job: PushJob,
  entries: readonly PushEntry[],
  options: {
    readonly checksum: boolean;
    readonly ignoreExisting: boolean;
    readonly tellSkipped?: boolean;
  },
): Promise<Answer> {
  const wanted = new Set<PushEntry>();
  const differing = new Set<PushEntry>();
  let named: ReadonlyMap<string, readonly PushEntry[]> | undefined;
  let saysNoMore = false;
  const outcome = await runRsync(job.context, {
    ...(job.names && { names: job.names }),
    entries,
    options: transferOptions(job.settings, {
      dryRun: true,
      xattrs: job.settings.xattrs === true,
      ...options,
    }),
    onItem: (entry, iflags) => {
      const isMade = isNew(iflags) || (isCreation(iflags) && !isHardLink(iflags));
      if (isTransfer(iflags) || isMade) wanted.add(entry);
    },
    onMessage: (_level, text) => {
      const [, name, difference] = EXISTS.exec(text) ?? [];
      if (name === undefined) return;
      if (difference === undefined) saysNoMore = true;
      if (!OTHER_CONTENT.has(difference)) return;
      named ??= byShownName(entries);
      for (const entry of named.get(name) ?? []) differing.add(entry);
    },
  });
  return { outcome, wanted, differing, saysNoMore };
}

/** By their names as a message shows them: bytes that are not UTF-8 may look alike there. */
function byShownName(entries: readonly PushEntry[]): ReadonlyMap<string, readonly PushEntry[]> {
  const named = new Map<string, PushEntry[]>();
  for (const entry of entries) {
    const name = Buffer.from(pathKey(entry.path), 'latin1').toString('utf8');
    const others = named.get(name);
    if (others === undefined) named.set(name, [entry]);
    else others.push(entry);
  }
  return named;
}

function isRefusal({ protocol, error, saidText }: RunOutcome): boolean {
  return protocol === undefined && error instanceof RemoteError && TELLING_REFUSED.test(saidText);
}

/** Files below something that is no folder there cannot be examined: that is an answer, too. */
function acceptWhole(job: PushJob, outcome: RunOutcome): void {
  const isPartial = outcome.exitCode === 23 || outcome.exitCode === 24;
  if (outcome.protocol === undefined || !isPartial) accept(job, outcome);
}
