/** Tests what a destination allows, and leaves nothing behind. */
import { randomBytes } from 'node:crypto';
import { EcsyncError, FileError, InterruptedError, RemoteError, UsageError } from '../../errors.ts';
import { TEMPORARY_DIRECTORY } from '../../gocryptfs/names/names.ts';
import type { ReceiverRule } from '../../rsync/flist/filter-list.ts';
import { LISTING, serverArgs, type TransferOptions } from '../../rsync/wire/options.ts';
import { readFiles } from '../../rsync/receive/read-files.ts';
import { send } from '../../rsync/send/sender.ts';
import { judge } from '../../rsync/outcome/status.ts';
import { S_IFDIR, S_IFREG, type Entry } from '../../tree/entry.ts';
import { BytesFile } from '../../view/encrypt/cipher-file.ts';
import { absentControls, withControls } from '../push/job/control-entry.ts';
import { isNew, isTransfer } from '../push/job/itemize.ts';
import { startUnlessAborted, statusAfter } from '../reach/remote-command.ts';
import { listingOptions, runPull, type RemoteSource } from '../copy/remote-tree-run.ts';

/** Enough for a delta of several blocks. */
const TEST_FILE_LENGTH = 65_536;
const NO_ANSWERS = 'its rsync does not answer dry runs, as openrsync does not';
const COARSE_TIMES =
  'times are kept to two seconds only, as FAT does, which a push learns by itself';
const ODD_SECOND = 1_000_000_001;
const NOT_THERE = 'the folder is not there yet';

/** What a destination can allow. */
export type Ability = 'push' | 'delta' | 'delete' | 'pull' | 'sftp';

/** The result of testing one ability. */
export interface AbilityResult {
  readonly ability: Ability;
  /** Undefined: it could not be tested. */
  readonly allowed: boolean | undefined;
  /** How it was tested, or why it is not allowed. */
  readonly why: string;
}

type WritingResults = readonly [push: AbilityResult, delta: AbilityResult, deletion: AbilityResult];

/** The first look at a destination. */
interface Look {
  /** The folder does not exist. A push would make it. */
  readonly isMissing: boolean;
  /** The temporary directory of pushes exists already. */
  readonly hasTemporary: boolean;
}

/**
 * Tests everything, in an order in which everything written can be removed again.
 *
 * @param ways.openSftp - opens a session and stats the folder; throws if that is not possible
 * @param ways.listFolder - lists the folder; absent: an rsync run does
 * @throws {LoginError | ConnectionError} the peer cannot be reached at all
 * @throws {InterruptedError} `interrupted`
 */
export async function testRemote(
  source: RemoteSource,
  ways: {
    readonly openSftp: () => Promise<unknown>;
    readonly listFolder?: () => Promise<unknown>;
  },
): Promise<readonly AbilityResult[]> {
  const list = ways.listFolder ?? (() => listTop(source));
  const [pushing, delta, deleting] = await testWriting(source);
  const pulling = await attempt('pull', 'the folder was listed', list);
  const sftp = await attempt('sftp', 'the folder was looked at', async () => {
    await ways.openSftp().catch((error: unknown) => {
      // SFTP is offered, which is all this test is about.
      if (!(error instanceof FileError) || error.code !== 'not-found') throw error;
    });
  });
  const isMissing = delta.why === NOT_THERE && pulling.allowed === false;
  return [pushing, delta, deleting, isMissing ? untried('pull', NOT_THERE) : pulling, sftp];
}

async function testWriting(source: RemoteSource): Promise<WritingResults> {
  const look = async (deleteAfter: boolean): Promise<Look> => {
    const said = { isMissing: false, hasTemporary: true, isAnswered: false };
    const list: readonly Entry[] = [ROOT, TEMPORARY];
    const controls = absentControls(list, LISTING);
    await write(source, withControls(list, controls), {
      options: { dryRun: true, deleteAfter },
      rules: [PROTECT_ALL],
      onItem: (entry, iflags) => {
        if (entry === ROOT) said.isMissing ||= isNew(iflags);
        else if (entry !== TEMPORARY) said.isAnswered = true;
        else if (isNew(iflags)) said.hasTemporary = false;
      },
    });
    if (!said.isAnswered) throw new RemoteError('answers-withheld', NO_ANSWERS);
    return said;
  };
  const deletion = await attemptValue(() => look(true));
  if ('error' in deletion) {
    const pushed = await attempt('push', 'in a dry run: without deletion nothing is written', () =>
      look(false),
    );
    if (pushed.why === NO_ANSWERS) {
      return [untried('push', NO_ANSWERS), untried('delta', NO_ANSWERS), no('delete', NO_ANSWERS)];
    }
    const why = pushed.allowed === true ? deletion.error.message : 'pushing is not allowed';
    const allowed = pushed.allowed === true ? false : undefined;
    return [pushed, untried('delta', 'nothing was written'), { ability: 'delete', allowed, why }];
  }
  if (deletion.value.isMissing) {
    return [
      yes('push', 'in a dry run: the folder is not there yet, and the first push makes it'),
      untried('delta', NOT_THERE),
      yes('delete', 'in a dry run'),
    ];
  }
  return testFile(source, deletion.value);
}

/** Sends a file, changes it, and removes it. */
async function testFile(source: RemoteSource, look: Look): Promise<WritingResults> {
  const folder = `${TEMPORARY_DIRECTORY}/test-${randomBytes(6).toString('hex')}`;
  const directory = entryOf(folder, S_IFDIR + 0o700);
  const file = entryOf(`${folder}/file`, S_IFREG + 0o600, TEST_FILE_LENGTH);
  const entries = [ROOT, TEMPORARY, directory, file];
  const content = randomBytes(TEST_FILE_LENGTH);
  const pushed = await attempt('push', 'a file was written, and removed', () =>
    write(source, entries, { options: {}, content }),
  );
  let matched = 0;
  let delta = untried('delta', 'nothing could be written');
  if (pushed.allowed === true) {
    content.writeUInt8(content.readUInt8(0) === 0 ? 1 : 0, 0);
    const result = await attempt('delta', 'of a changed file only the change was sent', () =>
      write(source, entries, {
        options: { ignoreTimes: true },
        content,
        onSent: (bytes) => (matched = bytes),
      }),
    );
    const isWhole = result.allowed === true && matched === 0;
    delta = isWhole ? no('delta', 'the server wants changed files whole') : result;
  }
  const isCoarse = pushed.allowed === true && (await hasCoarseTimes(source, folder));
  const told = isCoarse ? { ...pushed, why: `${pushed.why}; ${COARSE_TIMES}` } : pushed;
  return [told, delta, await removeTest(source, look, folder)];
}

/** Whether the odd second of a file's time is lost at the destination. Never fails. */
async function hasCoarseTimes(source: RemoteSource, folder: string): Promise<boolean> {
  const file = { ...entryOf('time', S_IFREG + 0o600, 1), mtimeSec: ODD_SECOND };
  const below = { ...source, path: `${source.path}${folder}/` };
  const content = Buffer.alloc(1);
  let isWanted = false;
  const outcome = await attemptValue(async () => {
    await write(below, [ROOT, file], { options: { times: true }, content });
    await write(below, [ROOT, file], {
      options: { times: true, dryRun: true },
      onItem: (entry, iflags) => {
        if (entry === file) isWanted = isTransfer(iflags);
      },
    });
  });
  return 'value' in outcome && isWanted;
}

async function removeTest(
  source: RemoteSource,
  { hasTemporary }: Look,
  folder: string,
): Promise<AbilityResult> {
  const top = hasTemporary ? folder : TEMPORARY_DIRECTORY;
  const risk = (pattern: string): ReceiverRule => ({
    action: 'risk',
    pattern: Buffer.from(pattern),
  });
  const gone = new Set<string>();
  const removed = await attempt('delete', 'what was written for this test was removed', () =>
    write(source, hasTemporary ? [ROOT, TEMPORARY] : [ROOT], {
      options: { deleteAfter: true },
      rules: [risk(`/${top}`), risk(`/${top}/**`), PROTECT_ALL],
      onDeleted: (path) => {
        gone.add(Buffer.from(path).toString('latin1').replace(/\/$/, ''));
      },
    }),
  );
  if (removed.allowed !== true || gone.has(top)) return removed;
  return no('delete', `nothing was removed; if it is there, remove ${top} yourself`);
}

const ROOT = entryOf('.', S_IFDIR + 0o755);
const TEMPORARY = entryOf(TEMPORARY_DIRECTORY, S_IFDIR + 0o700);
const PROTECT_ALL: ReceiverRule = { action: 'protect', pattern: Buffer.from('*') };

function entryOf(path: string, mode: number, size = 0): Entry {
  const times = { mtimeSec: 0, mtimeNsec: 0 };
  return { path: Buffer.from(path), mode, size, ...times, uid: 0, gid: 0 };
}

/** One writing run of the test. */
interface Writing {
  readonly options: Partial<TransferOptions>;
  readonly rules?: readonly ReceiverRule[];
  readonly content?: Uint8Array;
  onItem?(entry: Entry, iflags: number): void;
  onSent?(matchedBytes: number): void;
  onDeleted?(path: Uint8Array): void;
}

/** @throws the run's error, unless it succeeded completely */
async function write(
  source: RemoteSource,
  entries: readonly Entry[],
  what: Writing,
): Promise<void> {
  const { remote, rsyncPath, path, signal, timeoutSec, protocolMax } = source;
  // Existing objects must keep their attributes.
  const keep = { perms: false, times: false, owner: false, group: false, devices: false };
  const timed = timeoutSec > 0 ? { timeoutSec } : {};
  const options = { ...LISTING, protocolMax, ...keep, specials: false, ...timed, ...what.options };
  const starting = remote.start(rsyncPath, serverArgs(options, path));
  const connection = await startUnlessAborted(starting, signal);
  try {
    const result = await send(connection, {
      entries,
      open: () => Promise.resolve(new BytesFile(what.content ?? new Uint8Array(0))),
      options,
      ...(what.rules && options.deleteAfter && { rules: what.rules }),
      ...(timeoutSec > 0 && { idleTimeoutMs: timeoutSec * 1000 }),
      signal,
      onItem: (entry, iflags) => what.onItem?.(entry, iflags),
      onSent: (_entry, _literalBytes, matchedBytes) => what.onSent?.(matchedBytes),
      onDeleted: (deleted) => what.onDeleted?.(deleted),
    }).catch((error: unknown) => error);
    signal.throwIfAborted();
    const status = await statusAfter(result, connection.exited, source);
    const { error } = judge(result, status, connection.stderrText());
    if (error !== undefined) throw error;
  } finally {
    connection.destroy();
  }
}

async function listTop(source: RemoteSource): Promise<void> {
  const incomplete = await runPull(source, async (connection) => {
    const { report } = await readFiles(connection, {
      options: listingOptions(source),
      paths: [source.path],
      senderRules: [{ action: 'hide', pattern: Buffer.from('*') }],
      lengthMax: 0,
      signal: source.signal,
      ...(source.timeoutSec > 0 && { idleTimeoutMs: source.timeoutSec * 1000 }),
    });
    return report;
  });
  if (incomplete !== undefined) throw incomplete;
}

async function attemptValue<T>(
  work: () => Promise<T>,
): Promise<{ value: T } | { error: EcsyncError }> {
  try {
    return { value: await work() };
  } catch (error) {
    const isAnswer =
      error instanceof EcsyncError &&
      !(error instanceof InterruptedError || error instanceof UsageError);
    if (!isAnswer) throw error;
    return { error };
  }
}

async function attempt(
  ability: Ability,
  how: string,
  work: () => Promise<unknown>,
): Promise<AbilityResult> {
  const outcome = await attemptValue(work);
  return 'error' in outcome ? no(ability, outcome.error.message) : yes(ability, how);
}

const yes = (ability: Ability, why: string): AbilityResult => ({ ability, allowed: true, why });
const no = (ability: Ability, why: string): AbilityResult => ({ ability, allowed: false, why });
const untried = (ability: Ability, why: string): AbilityResult => ({
  ability,
  allowed: undefined,
  why,
});
