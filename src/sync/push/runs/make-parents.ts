/** Makes the folders above a new copy, since rsync makes only the last folder by default. */
import { S_IFDIR } from '../../../tree/entry.ts';
import type { PushEntry } from '../source/push-entry.ts';
import { ledgerListeners, type PushJob, transferOptions } from '../job/push-job.ts';
import { runRsync, type RunOutcome } from '../job/rsync-run.ts';
import { type Message, reportMessage } from '../job/transfer-state.ts';

/** Limits how many folders are made one by one. */
const STEPS_MAX = 64;
const PARENT_MODE = S_IFDIR | 0o755;

/**
 * A run that makes the root of a copy. Repeated if the folders above had to be made.
 *
 * @param run - is given a listener for the server's messages
 * @returns the outcome of the last one
 */
export async function withParents(
  job: PushJob,
  run: (onMessage: Message) => Promise<RunOutcome>,
): Promise<RunOutcome> {
  const tell: Message = (level, text) => reportMessage(job, level, text);
  if (job.isNewFolder !== true) return run(tell);
  const messages: Parameters<Message>[] = [];
  const outcome = await run((...message) => messages.push(message));
  const isMissing = outcome.error?.code === 'destination-missing';
  if (isMissing && ((await makeAtOnce(job)) || (await makeInSteps(job)))) return run(tell);
  for (const message of messages) tell(...message);
  return outcome;
}

/** By `--mkpath`, since rsync 3.2.3. It makes the root as well. */
async function makeAtOnce(job: PushJob): Promise<boolean> {
  const { error } = await runRsync(job.context, {
    ...ledgerListeners(job),
    entries: job.snapshot.entries.slice(0, 1),
    options: transferOptions(job.settings, { checksum: false, hardLinks: false, mkPath: true }),
  });
  return error === undefined;
}

/** Goes up until a folder exists or can be made, and down again. */
async function makeInSteps(job: PushJob): Promise<boolean> {
  const missing: string[] = [];
  for (const folder of foldersAbove(job.context.destination).slice(0, STEPS_MAX)) {
    missing.push(folder);
    if (await makeOne(job, folder)) break;
  }
  for (const folder of missing.reverse().slice(1)) {
    if (!(await makeOne(job, folder))) return false;
  }
  return missing.length > 0;
}

/** The nearest first, each with a slash at its end, without the root of the file system. */
function foldersAbove(destination: string): string[] {
  const path = destination.replace(/\/+$/, '');
  const above: string[] = [];
  for (let slash = path.lastIndexOf('/'); slash > 0; slash = path.lastIndexOf('/', slash - 1)) {
    above.push(path.slice(0, slash + 1));
  }
  return above;
}

/** Makes one folder with the server's default attributes. An existing folder is not changed. */
async function makeOne(job: PushJob, folder: string): Promise<boolean> {
  const [root] = job.snapshot.entries;
  if (root === undefined) return false;
  const { path, size, mtimeSec, mtimeNsec, uid, gid } = root;
  const entry: PushEntry = { path, mode: PARENT_MODE, size, mtimeSec, mtimeNsec, uid, gid };
  const { error } = await runRsync(job.context, {
    entries: [entry],
    destination: folder,
    options: transferOptions(job.settings, {
      checksum: false,
      hardLinks: false,
      perms: false,
      times: false,
      owner: false,
      group: false,
    }),
  });
  return error === undefined;
}
