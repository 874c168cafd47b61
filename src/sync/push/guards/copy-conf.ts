/**
 * Handles a copy whose gocryptfs.conf is not the vault's own. A change of the password elsewhere
 * leaves a newer one there. It stays, because replacing it would bring the old password back.
 */
import path from 'node:path';
import { EcsyncError, InterruptedError } from '../../../errors.ts';
import { isSealIntact } from '../../../gocryptfs/conf/conf-seal.ts';
import { parseConf, type Conf } from '../../../gocryptfs/conf/config.ts';
import { CONF_LENGTH_MAX } from '../../../gocryptfs/format/limits.ts';
import { CONF_NAME } from '../../../gocryptfs/names/names.ts';
import type { FlistEntry } from '../../../rsync/flist/decode.ts';
import { readConfFile } from '../../../vault/stored-conf.ts';
import { pathKey } from '../../../bytes/paths.ts';
import type { PushEntry } from '../source/push-entry.ts';
import type { ConfJudge, PushJob } from '../job/push-job.ts';
import { type PushState } from '../memory/push-state.ts';
import { folderThere } from './root-files.ts';
import { structureKey } from '../source/structure-key.ts';

/** A conf that was found somewhere. */
interface FoundConf {
  readonly bytes: Uint8Array;
  readonly mtimeSec: number;
}

/** Decides what one push does about the conf in the copy. */
export class ConfThere implements ConfJudge {
  readonly #masterkey: Uint8Array | Promise<Uint8Array>;
  #keeps: boolean | undefined;

  /** @param masterkey - of the vault that is pushed */
  constructor(masterkey: Uint8Array | Promise<Uint8Array>) {
    this.#masterkey = masterkey;
  }

  /** Whether this entry is the conf, and the one in the copy stays. */
  keeps({ virtual }: PushEntry): boolean {
    return virtual === 'conf' && this.#keeps === true;
  }

  /**
   * Reads a conf in the copy that is not the vault's own, and decides what happens to it.
   *
   * @param remembered - state of the destination
   */
  async judge(job: PushJob, remembered: PushState | undefined): Promise<void> {
    if (this.#keeps !== undefined) return;
    this.#keeps = false;
    const entry = job.snapshot.entries.find(({ virtual }) => virtual === 'conf');
    if (entry?.bytes === undefined) return;
    const theirs = await readConfThere(job);
    if (theirs === undefined) return;
    const own = { bytes: entry.bytes, mtimeSec: entry.mtimeSec };
    const isOurEarlierOne = remembered?.known.has(structureKey(entry.path, theirs.bytes)) === true;
    if (isOurEarlierOne || !(await this.#isOfAnotherPassword(own, theirs))) return;
    this.#keeps = theirs.mtimeSec >= own.mtimeSec;
    const { shown } = job.settings.destination;
    if (this.#keeps) {
      const text = `${shown}: the password was changed elsewhere; the newer gocryptfs.conf there stays. To take it over here: ecsync key fetch`;
      job.context.ledger.note('conf-newer', text);
    } else {
      const text = `${shown}: the gocryptfs.conf there had a password that was set elsewhere, before the one of this vault: it is replaced`;
      job.context.ledger.note('conf-replaced', text);
    }
  }

  /** Whether a copy with another conf is still this vault's, which the seal of its conf proves. */
  async provesOurs(job: PushJob): Promise<boolean> {
    const entry = job.snapshot.entries.find(({ virtual }) => virtual === 'conf');
    if (entry?.bytes === undefined) return false;
    const theirs = await readConfThere(job);
    const other = theirs && parsed(theirs.bytes);
    if (other?.seal === undefined || !isSameFilesystem(parseConf(entry.bytes), other)) return false;
    return isSealIntact(other, await this.#masterkey);
  }

  /**
   * Whether both are of one filesystem with one master key, while the wrapped key and its salt
   * differ.
   */
  async #isOfAnotherPassword(own: FoundConf, theirs: FoundConf): Promise<boolean> {
    const mine = parseConf(own.bytes);
    const other = parsed(theirs.bytes);
    if (other === undefined || !isSameFilesystem(mine, other)) return false;
    // An equal key or salt means that one of the two confs is damaged.
    if (isEqual(mine.encryptedKey, other.encryptedKey)) return false;
    if (isEqual(mine.scrypt.salt, other.scrypt.salt)) return false;
    return isSealIntact(other, await this.#masterkey);
  }
}

/** Whether this entry is the conf, and another one stays in the copy. */
export function keepsConf({ confThere }: PushJob, entry: PushEntry): boolean {
  return confThere?.keeps(entry) === true;
}

function parsed(bytes: Uint8Array): Conf | undefined {
  try {
    return parseConf(bytes);
  } catch (error) {
    if (error instanceof EcsyncError) return undefined; // damaged
    throw error;
  }
}

function isSameFilesystem(a: Conf, b: Conf): boolean {
  const flags = ({ flags: all }: Conf): string =>
    [...all]
      .filter((flag) => flag !== 'FIDO2')
      .sort()
      .join(' ');
  return flags(a) === flags(b) && a.longNameMax === b.longNameMax;
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** @returns undefined if this login may not read, or there is none */
async function readConfThere(job: PushJob): Promise<FoundConf | undefined> {
  const { destination } = job.settings;
  try {
    if (destination.kind === 'local') {
      const stored = readConfFile(path.join(destination.path, CONF_NAME));
      return stored && { bytes: stored.bytes, mtimeSec: stored.mtimeSec };
    }
    const folder = folderThere(job, job.context.destination);
    const children = await folder.children();
    const conf = children.find(({ path }) => pathKey(path) === CONF_NAME);
    if (conf === undefined || conf.size > CONF_LENGTH_MAX) return undefined;
    return { bytes: await contentOf(folder, conf), mtimeSec: conf.mtimeSec };
  } catch (error) {
    if (error instanceof EcsyncError && !(error instanceof InterruptedError)) return undefined;
    throw error;
  }
}

async function contentOf(
  folder: ReturnType<typeof folderThere>,
  entry: FlistEntry,
): Promise<Uint8Array> {
  const file = await folder.open(entry);
  try {
    return await file.read(0, entry.size);
  } finally {
    await file.close();
  }
}
