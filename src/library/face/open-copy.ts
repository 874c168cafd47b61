/** Opens copies without their vault, and makes vaults that continue them. */
import path from 'node:path';
import { BugError } from '../../errors.ts';
import { assertKeyFits } from '../../sync/restore/key-fits.ts';
import type { RestoreSummary } from '../../sync/restore/restore-settings.ts';
import type { PeerSettings } from '../../sync/run-settings.ts';
import type { AdoptFinding } from '../../sync/adopt/adopt-finding.ts';
import type { AdoptSummary, CloneSummary } from '../../sync/adopt/adopt-summary.ts';
import type { PushProgress } from '../../sync/push/source/push-settings.ts';
import { assertRestoresXattrs } from '../../sync/restore/restore-xattrs.ts';
import type { Secret } from '../../vault/password/password.ts';
import type { Caller } from '../caller.ts';
import { keepConstantTime } from '../settings/constant-time.ts';
import { finishClone, placeToAdopt, placeToClone } from '../continued-place.ts';
import { adoptWith, cloneWith, type ContinuedSecret } from '../continued-run.ts';
import { unlockForeignCopy, type CopyKey } from '../copy-key.ts';
import { findCopyPlace, type CopyPlace } from '../copy-place.ts';
import type { FolderLayoutOptions, ForeignConfOptions } from '../settings/layout-options.ts';
import { withOpenedCopy } from '../opened-copy.ts';
import { openConfAndOther } from '../unlocking.ts';
import { checkedQuestions, type CheckedQuestions, type CopyQuestions } from './answers.ts';
import { Copy } from './copy.ts';
import {
  PEER_KINDS,
  peerOf,
  RESTORE_KINDS,
  restoreSettingsOf,
  type CopyReachOptions,
  type CopyRestoreOptions,
} from './copy-choice.ts';
import { assertArgument, assertOptions, assertWithout, type OptionKinds } from './given-kinds.ts';
import { KEY_KINDS, openGiven, readGiven, waitingFor, type KeyOptions } from './given-secret.ts';
import { Listening, LISTENING_KINDS, type ListeningOptions } from './listening.ts';
import { questionsFor } from './login.ts';
import { OpenRuns } from './open-runs.ts';

/** Options of every function that opens a copy by its own conf. */
interface ForeignCopyOptions
  extends KeyOptions, ListeningOptions, CopyReachOptions, ForeignConfOptions {
  readonly questions?: CopyQuestions;
}

/**
 * How a copy is opened. If its conf has no seal, its claims about names must be confirmed:
 * `plaintextnames`, `deterministicNames`, `longnamemax`, `longnames: false`. With a master key and
 * no conf, `layout`, `hkdf` and `raw64` say how the copy is encrypted, as on the recovery sheet.
 */
export interface OpenCopyOptions extends ForeignCopyOptions, FolderLayoutOptions {}

const FOREIGN_KINDS: OptionKinds = {
  ...KEY_KINDS,
  ...LISTENING_KINDS,
  ...PEER_KINDS,
  questions: 'any',
  plaintextnames: 'flag',
  deterministicNames: 'flag',
  longnames: 'flag',
  longnamemax: 'number',
  scryptn: 'number',
};

const NEVER = new AbortController().signal;

/**
 * Opens a copy without its vault, by its own `gocryptfs.conf`. Logs in once for that.
 *
 * @param address - `user@host:path`, `ssh://…`, `rsync://…`, or a folder of this machine
 * @throws {PasswordError} `wrong-password`, `wrong-masterkey`, `password-missing`,
 *   `masterkey-invalid`, …
 * @throws {VaultError} `conf-missing`, `conf-unusable`, `copy-missing`, `layout-unproven`,
 *   `scrypt-cost-unagreed`, `layout-unsupported`, and every code of a conf that cannot be read
 * @throws {UsageError} `destination-invalid`, `not-a-folder`, `layout-differs`,
 *   `conflicting-options`
 * @throws {IntegrityError} `conf-seal-wrong`
 * @throws {LoginError | ConnectionError | RemoteError | ProtocolError} the peer
 * @throws {InterruptedError} `interrupted`
 */
export async function openCopy(address: string, options: OpenCopyOptions = {}): Promise<Copy> {
  assertArgument('address', address, 'place');
  assertOptions(options, { ...FOREIGN_KINDS, layout: 'text', hkdf: 'flag', raw64: 'flag' });
  const runs = new OpenRuns();
  const questions = checkedQuestions(options.questions, true);
  const peer = peerOf(options);
  return new Listening(options, NEVER).run(async (caller) => {
    const folder = process.cwd();
    const place = findCopyPlace(address, { vault: undefined, folder, platform: caller.platform });
    const key = await withSecret(caller, options, (secret) =>
      keyOfCopy(caller, { place, peer, options, questions, secret }),
    );
    return Copy.of({
      runs,
      questions,
      place: () => place,
      way: () => ({ peer, keep: [] }),
      unlock: () => Promise.resolve({ conf: key.conf, masterkey: Buffer.from(key.masterkey) }),
      close: async () => {
        await runs.close();
        key.masterkey.fill(0);
      },
    });
  });
}

/** A key that is available, and is proved to be right. */
type ProvenKey = Pick<CopyKey, 'conf'> & { readonly masterkey: Buffer };

/** Logs in once, opens the key of a copy and verifies that it is right. */
async function keyOfCopy(
  caller: Caller,
  about: {
    readonly place: CopyPlace;
    readonly peer: PeerSettings;
    readonly options: OpenCopyOptions;
    readonly questions: CheckedQuestions;
    readonly secret: Secret;
  },
): Promise<ProvenKey> {
  const { place, peer, options, questions, secret } = about;
  const kept: ProvenKey[] = [];
  const access = {
    place,
    reach: { destination: place.destination, ...peer },
    questions: questionsFor(caller, questions, place),
    unlock: async (from: CopyPlace): Promise<CopyKey> => {
      const key = await unlockForeignCopy(from, {
        options,
        byMasterkey: secret.kind === 'masterkey',
        agree: questions.agree,
        open: (conf) => openGiven(caller, secret, conf),
      });
      const masterkey = await key.masterkey;
      kept.push({ conf: key.conf, masterkey: Buffer.from(masterkey) });
      return { ...key, masterkey };
    },
  };
  try {
    const plan = { reach: 'little', onProblem: () => undefined } as const;
    await withOpenedCopy(caller, access, plan, async ({ copy, layout, isUnproven }) => {
      if (isUnproven) await assertKeyFits(copy.tree, layout);
    });
    const [key] = kept;
    if (key !== undefined) return key;
    throw new BugError('key-not-opened', 'a copy was opened without its key');
  } catch (error) {
    for (const { masterkey } of kept) masterkey.fill(0);
    throw error;
  }
}

const ADOPT_KINDS: OptionKinds = {
  ...FOREIGN_KINDS,
  name: 'text',
  vaultDir: 'place',
  cipherdir: 'place',
  repair: 'flag',
  dryRun: 'flag',
  numericIds: 'flag',
  onFinding: 'listener',
  onProgress: 'listener',
  onSurveyed: 'listener',
};

/** How a copy is adopted. */
export interface AdoptCopyOptions extends ForeignCopyOptions {
  /** The future name of the remote. Default: `origin`. */
  readonly name?: string;
  /** The vault directory, if it is not `.ecsync/` in the folder. */
  readonly vaultDir?: string;
  /** A local folder with the same encrypted content, whose names are read instead of the copy's. */
  readonly cipherdir?: string;
  /** Repair damage in the copy. Default: false, and damage is an error. */
  readonly repair?: boolean;
  /** Make and change nothing. Default: false. */
  readonly dryRun?: boolean;
  /** Compare user and group numbers, not names. Default: false. */
  readonly numericIds?: boolean;
  readonly onFinding?: (finding: AdoptFinding) => void;
  readonly onProgress?: (progress: PushProgress) => void;
  /** Receives the number of objects of the copy that were surveyed so far. */
  readonly onSurveyed?: (objects: number) => void;
}

/** The result of an adoption. */
export interface AdoptedSummary extends Omit<AdoptSummary, 'conf'> {
  /** Feature flags of the copy's `gocryptfs.conf`. */
  readonly flags: readonly string[];
}

/**
 * Makes a folder a vault that continues an existing copy, made by gocryptfs or from another
 * machine. Sends nothing: the next push sends only what has changed.
 *
 * @param folder - the folder with the plaintext
 * @param address - where the copy is
 * @returns the result of the comparison, and `vaultDir`, which is absent after a dry run
 * @throws {IntegrityError} `copy-damaged` — and no repair was requested
 * @throws {UsageError} `vault-exists`, `inside-vault-dir`, `not-a-folder`, `source-empty`,
 *   `remote-name-invalid`, `destination-overlaps`, and as {@link openCopy}
 * @throws {VaultError} `vault-not-written`, `destination-other-vault`; otherwise as {@link
 *   openCopy}
 */
export async function adoptCopy(
  folder: string,
  address: string,
  options: AdoptCopyOptions = {},
): Promise<AdoptedSummary> {
  assertArgument('folder', folder, 'place');
  assertArgument('address', address, 'place');
  assertOptions(options, ADOPT_KINDS);
  const questions = checkedQuestions(options.questions, true);
  const listening = new Listening(options, NEVER);
  return listening.run(async (caller) => {
    const { name = 'origin', vaultDir, cipherdir } = options;
    const words = {
      ...{ remote: address, name, source: path.resolve(folder), folder: process.cwd() },
      vaultDir: vaultDir === undefined ? undefined : path.resolve(vaultDir),
    };
    const settings = {
      ...placeToAdopt(words, caller),
      dryRun: options.dryRun === true,
      repair: options.repair === true,
      numericIds: options.numericIds === true,
      ...peerOf(options),
      ...(cipherdir !== undefined && { cipherDir: path.resolve(cipherdir) }),
    };
    const surroundings = {
      questions: questionsFor(caller, questions, settings),
      reporter: {
        finding: listening.hears(options.onFinding),
        warning: listening.hears(options.onWarning),
        progress: listening.hears(options.onProgress),
        surveyed: listening.hears(options.onSurveyed),
      },
    };
    const summary = await withSecret(caller, options, (given) => {
      const secret = continuedSecret(caller, { options, questions, given });
      return adoptWith(caller, { settings, secret }, surroundings);
    });
    return adopted(summary);
  });
}

function adopted({ conf, ...rest }: AdoptSummary): AdoptedSummary {
  return { ...rest, flags: [...conf.flags] };
}

/** How a copy is cloned. */
export interface CloneCopyOptions
  extends
    ForeignCopyOptions,
    Omit<CopyRestoreOptions, 'dryRun' | 'paths' | 'base' | 'overwrite' | 'lastPush'> {
  /** The future name of the remote. Default: `origin`. */
  readonly name?: string;
}

/**
 * Restores a whole copy into a new folder, and makes that folder a vault that continues the copy.
 * An interrupted clone continues when it is run again.
 *
 * @param address - where the copy is
 * @param folder - is made, or must be empty
 * @returns the figures of the restore; if something could not be restored, `exitCode` is 23, 24 or
 *   26, no vault was made, and `vaultDir` is absent
 * @throws {UsageError} `target-not-empty`, `vault-exists`, `remote-name-invalid`,
 *   `xattrs-unsupported`, and as {@link openCopy}
 * @throws {VaultError} `conf-changed`, `vault-not-written`, and as {@link openCopy}
 * @throws {FileError} `parent-missing`, `write-failed`; {LockedError} `locked`
 */
export async function cloneCopy(
  address: string,
  folder: string,
  options: CloneCopyOptions = {},
): Promise<CloneSummary> {
  assertArgument('address', address, 'place');
  assertArgument('folder', folder, 'place');
  assertOptions(options, { ...RESTORE_KINDS, ...FOREIGN_KINDS, name: 'text' });
  assertWithout(options, ['dryRun', 'paths', 'base', 'overwrite', 'lastPush']);
  const questions = checkedQuestions(options.questions, true);
  const listening = new Listening(options, NEVER);
  return listening.run(async (caller) => {
    const { name = 'origin' } = options;
    const target = path.resolve(folder);
    const finished = await finishClone(target);
    if (finished !== undefined) return { ...NOTHING_LEFT_TO_RESTORE, vaultDir: finished };
    const words = { remote: address, name, source: target, folder: process.cwd() };
    const { destination, place, vaultDir } = placeToClone(words, caller);
    const how = {
      ...(await restoreSettingsOf(options, [])),
      ...peerOf(options),
    };
    const settings = { place, vaultDir, name, restore: { ...how, from: destination, target } };
    assertRestoresXattrs(settings.restore);
    const surroundings = {
      questions: questionsFor(caller, questions, { destination }),
      reporter: {
        item: listening.hears(options.onItem),
        warning: listening.hears(options.onWarning),
        detail: listening.hears(options.onDetail),
        progress: listening.hears(options.onProgress),
      },
    };
    return withSecret(caller, options, (given) => {
      const secret = continuedSecret(caller, { options, questions, given });
      return cloneWith(caller, { settings, secret }, surroundings);
    });
  });
}

const NOTHING_LEFT_TO_RESTORE: RestoreSummary = {
  exitCode: 0,
  filesTotal: 0,
  filesRestored: 0,
  filesKept: 0,
  damaged: 0,
  misplaced: 0,
  renamed: 0,
  literalBytes: 0,
  matchedBytes: 0,
  bytesSent: 0,
  bytesReceived: 0,
  elapsedMs: 0,
  totalBytes: 0,
};

/** Calls `work` with the given secret, and overwrites the secret at the end. */
async function withSecret<T>(
  caller: Caller,
  options: KeyOptions,
  work: (secret: Secret) => Promise<T>,
): Promise<T> {
  keepConstantTime({ platform: caller.platform, environment: process.env });
  const secret = await readGiven(caller, options);
  return work(secret).finally(() => secret.bytes.fill(0));
}

function continuedSecret(
  caller: Caller,
  about: {
    readonly options: ForeignCopyOptions;
    readonly questions: CheckedQuestions;
    readonly given: Secret;
  },
): ContinuedSecret {
  const { options, questions, given: secret } = about;
  return {
    options,
    byMasterkey: secret.kind === 'masterkey',
    agree: questions.agree,
    open: (conf, other) => openConfAndOther(waitingFor(caller), secret, conf, other),
  };
}
