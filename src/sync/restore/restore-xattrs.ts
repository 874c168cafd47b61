/**
 * Extended attributes in a restore (`-X`). They are collected while the content is fetched, and set
 * at the end, as far as this user may set them. Nothing authenticates which object an attribute
 * belongs to, so attributes that grant rights are set only on request.
 */
import { FileError, IntegrityError } from '../../errors.ts';
import { ITEM_REPORT_XATTR } from '../../rsync/wire/constants.ts';
import type { FlistEntry } from '../../rsync/flist/decode.ts';
import { isDirectory, isRegularFile, type Xattr } from '../../tree/entry.ts';
import { showPath } from '../../tree/file-failure.ts';
import type { LocalStore } from '../../tree/target/local-store.ts';
import { requireProgram } from '../../transport/programs/getfattr.ts';
import type { Planned, StoredForm } from '../../view/restoring-store.ts';
import { pathKey } from '../../bytes/paths.ts';
import { assertXattrsPossible, SYSTEM_LABEL } from '../push/source/list-xattrs.ts';
import type { RestoreLedger } from './restore-ledger.ts';
import type { RestoreSettings } from './restore-settings.ts';
import { TargetXattrs, type WantedObject } from './target-xattrs.ts';

/**
 * Limits the number of named attributes. A target without attributes refuses all of them, and a
 * copy may hold any number of damaged ones.
 */
const NAMED_MAX = 20;
/** Among others, attributes that give a program more rights than its caller has. */
const SECURITY = 'security.';
/** Access control lists, which are permissions. */
const ACCESS_LISTS = 'system.posix_acl_';

/**
 * Refuses `-X` where it cannot work.
 *
 * @throws {UsageError} `xattrs-unsupported`
 */
export function assertRestoresXattrs({
  xattrs,
  protocolMax,
}: Pick<RestoreSettings, 'xattrs' | 'protocolMax'>): void {
  if (xattrs !== true) return;
  assertXattrsPossible(protocolMax, { act: 'set', without: 'restore' });
  requireProgram('getfattr', 'Install the package attr, or restore without -X.');
  requireProgram('setfattr', 'Install the package attr, or restore without -X.');
  requireProgram('xargs', 'Install the package findutils, or restore without -X.');
}

/** The input of a restore of attributes. */
export interface RestoredXattrsJob {
  readonly form: Pick<StoredForm, 'plainXattr'>;
  readonly settings: Pick<RestoreSettings, 'perms' | 'specialModes' | 'overwrite' | 'target'>;
  readonly ledger: RestoreLedger;
  readonly signal: AbortSignal;
}

/** The attributes of one restore. */
export class RestoredXattrs {
  readonly #job: RestoredXattrsJob;
  /** In the order of the list. */
  readonly #wanted = new Map<string, WantedObject>();
  /** Objects that are missing in the target or differ from the copy. */
  readonly #failed = new Set<string>();
  /** Objects that `-i` has listed. */
  readonly #itemized = new Set<string>();
  /** Number of attributes that the target refused. */
  #refused = 0;
  /** Number of attributes that cannot be decrypted. */
  #damaged = 0;
  #foreign = 0;
  #leftOut = 0;
  /** Link groups of which one name was counted. */
  readonly #linked = new Set<number>();

  constructor(job: RestoredXattrsJob) {
    this.#job = job;
  }

  /** A change of the object was listed by `-i`. */
  itemized(entry: FlistEntry): void {
    this.#itemized.add(pathKey(entry.path));
  }

  /** The object could not be restored. */
  failed(entry: FlistEntry): void {
    this.#failed.add(pathKey(entry.path));
  }

  /** @param stored - as the copy has them; undefined if not all of them arrived */
  arrived(entry: FlistEntry, planned: Planned, stored: readonly Xattr[] | undefined): void {
    if (!isRegularFile(entry) && !isDirectory(entry)) return;
    if (this.#failed.has(pathKey(entry.path))) return;
    if (stored === undefined) {
      // Further names share the attributes of the first.
      if (entry.linkGroup === undefined) this.#notSent(planned);
      return;
    }
    const { linkGroup } = entry;
    if (linkGroup !== undefined && this.#linked.has(linkGroup)) return;
    if (linkGroup !== undefined) this.#linked.add(linkGroup);
    const xattrs = this.#plain(planned, stored);
    this.#wanted.set(pathKey(entry.path), { entry, planned, xattrs });
  }

  /**
   * Sets the attributes after everything else is done.
   *
   * @throws {FileError} `xattrs-unreadable`, `xattrs-unwritable` — the programs failed as such
   * @throws the signal's reason
   */
  async apply(target: LocalStore): Promise<void> {
    const { settings, ledger, signal } = this.#job;
    const removes = settings.overwrite === 'changed' || settings.overwrite === 'always';
    const setting = new TargetXattrs({
      folder: settings.target,
      target,
      signal,
      isToRemove: (name) => removes && this.#verdict(name) === 'restored' && !isSystem(name),
      onRefused: ({ plainPath }, name, reason) => {
        if (++this.#refused > NAMED_MAX) return;
        const shown = showPath(plainPath);
        const message = `cannot set the extended attribute ${showPath(name)} of ${shown} (${reason})`;
        ledger.problem(new FileError('xattr-refused', message, { facts: { path: shown } }));
      },
      onFailure: (message) => ledger.problem(new FileError('xattrs-unreadable', message)),
      onChanged: ({ entry, planned }) => {
        if (!this.#itemized.has(pathKey(entry.path)))
          ledger.item(entry, planned, ITEM_REPORT_XATTR);
      },
    });
    await setting.apply([...this.#wanted.values()]);
    this.#tellLeftOut();
  }

  #plain({ plainPath }: Planned, stored: readonly Xattr[]): readonly Xattr[] {
    const { form } = this.#job;
    const plain: Xattr[] = [];
    for (const xattr of stored) {
      try {
        const opened = form.plainXattr(xattr);
        const verdict = opened && this.#verdict(opened.name);
        if (verdict === undefined) this.#countForeign(xattr);
        else if (verdict === 'left out') this.#leftOut++;
        else if (opened !== undefined && verdict === 'restored') plain.push(opened);
      } catch (error) {
        if (!(error instanceof IntegrityError)) throw error;
        this.#countDamaged(plainPath, error);
      }
    }
    return plain;
  }

  #countDamaged(plainPath: Uint8Array, error: IntegrityError): void {
    const { ledger } = this.#job;
    if (++this.#damaged > NAMED_MAX) {
      ledger.damaged++;
      return;
    }
    const shown = showPath(plainPath);
    const message = `${shown}: ${error.message}; the attribute was not restored`;
    ledger.problem(new FileError(error.code, message, { facts: { path: shown }, cause: error }));
  }

  /**
   * Whether an attribute of this name is restored. `no perms`: it is a permission, and --perms was
   * not given.
   */
  #verdict(name: Uint8Array): 'restored' | 'left out' | 'no perms' {
    const { perms, specialModes } = this.#job.settings;
    const text = Buffer.from(name).toString('latin1');
    if (text === SYSTEM_LABEL) return 'no perms';
    if (text.startsWith(SECURITY)) return specialModes === true ? 'restored' : 'left out';
    if (text.startsWith(ACCESS_LISTS)) return perms ? 'restored' : 'left out';
    return 'restored';
  }

  #countForeign({ name }: Xattr): void {
    if (Buffer.from(name).toString('latin1') !== SYSTEM_LABEL) this.#foreign++;
  }

  #notSent({ plainPath }: Planned): void {
    const shown = showPath(plainPath);
    const message = `the extended attributes of ${shown} did not come`;
    const details = { hint: 'Run the same command again.', facts: { path: shown } };
    this.#job.ledger.problem(new FileError('xattrs-not-sent', message, details));
  }

  #tellLeftOut(): void {
    const { ledger } = this.#job;
    const refused = this.#refused - NAMED_MAX;
    if (refused > 0) {
      const message = `… and ${refused} more extended attributes that the target refuses`;
      ledger.note('xattr-refused', message);
    }
    const damaged = this.#damaged - NAMED_MAX;
    if (damaged > 0) {
      const message = `… and ${damaged} more extended attributes of the copy that cannot be decrypted`;
      ledger.note('xattrs-damaged', message);
    }
    if (this.#foreign > 0) {
      const what = `${attributes(this.#foreign)} of the copy ${wereOrWas(this.#foreign)}`;
      ledger.note('xattrs-foreign', `${what} ignored: no vault wrote them`);
    }
    if (this.#leftOut === 0) return;
    const what = `${attributes(this.#leftOut)} ${wereOrWas(this.#leftOut)}`;
    const message = `${what} left out, which can give rights to files: those of security.* come back with --special-modes, access control lists with --perms`;
    ledger.note('xattrs-left-out', message);
  }
}

function attributes(count: number): string {
  return count === 1 ? '1 extended attribute' : `${count} extended attributes`;
}

function wereOrWas(count: number): string {
  return count === 1 ? 'was' : 'were';
}

/** Attributes that the system itself set are not removed. */
function isSystem(name: Uint8Array): boolean {
  return Buffer.from(name).toString('latin1').startsWith('system.');
}
