/** An opened vault: all operations on a folder and its copies. */
import { PasswordError } from '../../errors.ts';
import { formatMasterkey } from '../../gocryptfs/conf/keys.ts';
import type { PlanSummary } from '../../sync/push/source/push-settings.ts';
import { plan } from '../../sync/push/plan.ts';
import type { OpenVault } from '../../sync/push/opened-vault.ts';
import { push, type PushSurroundings } from '../../sync/push/push.ts';
import type { PushSummary } from '../../sync/push/source/push-settings.ts';
import type { NOT_ENCRYPTED } from '../../sync/run-settings.ts';
import type { VerifySummary } from '../../sync/check/verify-summary.ts';
import { verify } from '../../sync/check/verify.ts';
import { confOf } from '../../vault/vault-conf.ts';
import {
  assertMasterkey,
  readVault,
  readVaultFrame,
  type StoredVault,
  type VaultFrame,
  type VaultPlace,
} from '../../vault/vault.ts';
import type { Caller } from '../caller.ts';
import { pushHolding, verifyRecorded, verifySettings } from '../changing-run.ts';
import { findCopyPlace } from '../copy-place.ts';
import { withKeyedVault } from '../keyed-run.ts';
import { patiently, PLAN_CUT_OFF, VERIFY_CUT_OFF } from '../retry.ts';
import type { CheckedQuestions } from './answers.ts';
import { Copy } from './copy.ts';
import { assertArgument, assertOptions } from './given-kinds.ts';
import type { Listening } from './listening.ts';
import { questionsFor } from './login.ts';
import { endOf, OpenRuns } from './open-runs.ts';
import {
  PLAN_KINDS,
  PUSH_KINDS,
  pushJobOf,
  type PushJobRead,
  type VaultPlanOptions,
  type VaultPushOptions,
  type VaultRunOptions,
  type VaultVerifyOptions,
  VERIFY_KINDS,
} from './push-choice.ts';
import { PEER_KINDS, wayTo, type CopyReachOptions } from './copy-choice.ts';

/**
 * The state of a vault while it is open.
 *
 * @internal
 */
export interface VaultParts {
  readonly place: VaultPlace;
  readonly source: string;
  readonly vaultDir: string;
  /** Absent: it was opened without its key, and can only be used with plain mirrors. */
  readonly masterkey?: Buffer | undefined;
  readonly questions: CheckedQuestions;
}

/** A remote of a vault, as its configuration defines it. */
export interface VaultRemote {
  readonly name: string;
  /** Address, as it was written. */
  readonly address: string;
  /** False for a plain mirror. */
  readonly isEncrypted: boolean;
}

/**
 * An opened vault, made by {@link openVault}. It provides what its copies need: the key, inherited
 * identities, the memory of earlier pushes, and its remotes with their settings. Each operation
 * reads its files again, and holds the lock only while it changes a copy.
 *
 * REMOTE is the name of one of its remotes, or an address (`user@host:path`, `./folder`,
 * `/folder`). Default: the first remote. A relative folder starts from the current one.
 *
 * Every operation throws {LoginError | ConnectionError | RemoteError | ProtocolError} for the peer;
 * {UsageError} `closed`, `no-remote`, `destination-invalid`, `option-invalid`, `option-unknown`,
 * `config-invalid`; {VaultError} `no-vault`, `vault-incomplete`, `vault-unreadable`,
 * `conf-changed`, `source-missing`; {PasswordError} `password-missing` without the key,
 * `wrong-masterkey` if another vault has taken its place; {InterruptedError} `interrupted`; in
 * addition to its own errors.
 */
export class Vault implements AsyncDisposable {
  /** Absolute path of the folder that this vault belongs to. */
  readonly source: string;
  /** Absolute path of its directory, usually `.ecsync/` in the source. */
  readonly vaultDir: string;
  readonly #parts: VaultParts;
  readonly #runs = new OpenRuns();

  private constructor(parts: VaultParts) {
    this.#parts = parts;
    this.source = parts.source;
    this.vaultDir = parts.vaultDir;
  }

  /** @internal */
  static of(parts: VaultParts): Vault {
    return new Vault(parts);
  }

  /**
   * Its remotes, in the order of the configuration. The first is the default.
   *
   * @throws {VaultError | UsageError} as every operation, for the vault
   */
  get remotes(): readonly VaultRemote[] {
    const { config } = readVaultFrame(this.#parts.place);
    return config.remotes.map(({ name, url, encrypt = true }) => ({
      ...{ name, address: url },
      isEncrypted: encrypt,
    }));
  }

  /**
   * Encrypts what changed and sends it. Options that are not given come from the configuration of
   * the remote, of the vault and of the machine. The push is recorded in the history, as `ecsync
   * push` is. Hooks and notifications belong to the command.
   *
   * @returns the figures; `exitCode` 23, 24, 25 or 75 if part of it could not be done, see `error`
   * @throws {UsageError} `destination-overlaps`, `destination-unsupported`, `path-outside`,
   *   `path-missing`, `xattrs-unsupported`, `conflicting-options`, `filter-unsupported`
   * @throws {VaultError} `destination-other-vault`, `destination-not-a-copy`, `destination-mirror`,
   *   `destination-encrypted`, `layout-unsupported`
   * @throws {LockedError} `locked`, `lock-lost`
   * @throws {NotNowError} `max-time`, `copy-gone`
   * @throws {FileError} the source folder, or a destination that cannot store anything
   */
  push(remote?: string, options: VaultPushOptions = {}): Promise<PushSummary> {
    return this.#runs.run(options, PUSH_KINDS, async (caller, listening) => {
      const job = await pushJobOf(caller, this.#read(), { remote, options });
      const { summary } = await pushHolding(caller, { ...job, wait: options.wait }, (signal) =>
        this.#withKey({ ...caller, signal }, { job, listening, options }, (vault, around) =>
          push(job.settings, vault, around),
        ).then(endOf),
      );
      return summary;
    });
  }

  /**
   * Reports what a push with the same options would do, and changes nothing.
   *
   * @returns the figures: `filesSent` and `filesDeleted` count what it would send and delete
   * @throws as {@link push}, without the lock
   */
  plan(remote?: string, options: VaultPlanOptions = {}): Promise<PlanSummary> {
    return this.#runs.run(options, PLAN_KINDS, async (caller, listening) => {
      const job = await pushJobOf(caller, this.#read(), { remote, options });
      const exact = options.exact === true;
      const run = { job, listening, options, cutOff: PLAN_CUT_OFF };
      return this.#withKey(caller, run, (vault, around) =>
        plan(job.settings, vault, around, { exact }),
      );
    });
  }

  /**
   * Verifies that a copy holds exactly what the vault says. Files are encrypted and hashed here,
   * the server hashes the copy, and nothing is downloaded. Use the same options as for the push.
   *
   * @returns the figures; `exitCode` 26 with remaining damage, 23 or 24 for files that could not be
   *   compared
   * @throws as {@link push}, and {VaultError} `copy-missing`; {RemoteError} `comparison-withheld`,
   *   `answers-withheld`; {UsageError} `conflicting-options` — a repair of an append-only copy
   */
  verify(remote?: string, options: VaultVerifyOptions = {}): Promise<VerifySummary> {
    return this.#runs.run(options, VERIFY_KINDS, async (caller, listening) => {
      const repairs = options.repair === true;
      const read = await pushJobOf(caller, this.#read(), { remote, options });
      const job = { ...read, settings: verifySettings(read.settings, repairs) };
      const run = { ...job, wait: options.wait, repairs };
      const onFinding = listening.hears(options.onFinding);
      const keyed = { job, listening, options, cutOff: VERIFY_CUT_OFF };
      const { summary } = await verifyRecorded(caller, run, (signal) =>
        this.#withKey({ ...caller, signal }, keyed, (vault, around) =>
          verify(job.settings, vault, around, { repair: repairs, onFinding }),
        ).then(endOf),
      );
      return summary;
    });
  }

  /** The copy at a remote, to be restored, checked or browsed. Nothing is opened yet. */
  copy(remote?: string, options: CopyReachOptions = {}): Copy {
    if (remote !== undefined) assertArgument('remote', remote, 'text');
    assertOptions(options, PEER_KINDS);
    return Copy.of({
      runs: this.#runs,
      questions: this.#parts.questions,
      place: ({ platform }) => {
        const vault = readVaultFrame(this.#parts.place);
        // These are the copies of this vault, whatever their conf.
        return { ...findCopyPlace(remote, { vault, folder: process.cwd(), platform }), vault };
      },
      way: (place) => wayTo(place, options),
      unlock: (_caller, { vault }) => {
        const known = vault ?? readVaultFrame(this.#parts.place);
        return Promise.resolve({ conf: confOf(known), masterkey: this.#keyOf(known) });
      },
      close: () => Promise.resolve(),
    });
  }

  /**
   * The master key in the form of the recovery sheet: 64 hex digits in groups of eight. It opens
   * every copy, so keep it only on paper.
   *
   * @throws {PasswordError} `password-missing` — the vault was opened without its key
   * @throws {UsageError} `closed`
   */
  exportMasterkey(): string {
    this.#runs.assertOpen();
    const masterkey = this.#keyOf(readVaultFrame(this.#parts.place));
    try {
      return formatMasterkey(masterkey);
    } finally {
      masterkey.fill(0);
    }
  }

  /** Ends running operations, waits for them, and overwrites the key. */
  async close(): Promise<void> {
    await this.#runs.close();
    this.#parts.masterkey?.fill(0);
  }

  /** As {@link close}: for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #read(): StoredVault {
    return readVault(this.#parts.place);
  }

  /** A copy of the key, which the caller overwrites. Checks that the vault is still the same. */
  #keyOf(vault: VaultFrame): Buffer {
    const { masterkey } = this.#parts;
    if (masterkey === undefined) {
      throw new PasswordError('password-missing', 'the vault was opened without its key', {
        hint: 'Give openVault() the password, or name it in [password] of .ecsync/config.toml.',
      });
    }
    assertMasterkey(vault, masterkey);
    return Buffer.from(masterkey);
  }

  #withKey<T>(
    caller: Caller,
    run: {
      readonly job: PushJobRead;
      readonly listening: Listening;
      readonly options: VaultRunOptions;
      /** What happens to a push that `--max-time` ends. Absent: the next one continues. */
      readonly cutOff?: string;
    },
    work: (vault: OpenVault | typeof NOT_ENCRYPTED, around: PushSurroundings) => Promise<T>,
  ): Promise<T> {
    const { job, listening, options, cutOff } = run;
    const { vault, settings } = job;
    const patience = { ...job.patience, ...(cutOff !== undefined && { hint: cutOff }) };
    const { destination } = settings;
    const keyed = {
      ...{ vault, destination, peer: settings },
      questions: questionsFor(caller, this.#parts.questions, { vault, destination }),
      reporter: {
        item: listening.hears(options.onItem),
        warning: listening.hears(options.onWarning),
        progress: listening.hears(options.onProgress),
      },
      unlock: () =>
        Promise.resolve().then(() => ({ masterkey: Promise.resolve(this.#keyOf(vault)) })),
    };
    return withKeyedVault(caller, keyed, (opened, around) =>
      patiently(caller, patience, (signal) => work(opened, { ...around, signal })),
    );
  }
}
