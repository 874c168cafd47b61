/** Adopts or clones a copy with the key that a secret opens, and overwrites the key at the end. */
import path from 'node:path';
import { VaultError } from '../errors.ts';
import { parseConf, type Conf } from '../gocryptfs/conf/config.ts';
import { REVERSE_CONF_NAME } from '../gocryptfs/names/names.ts';
import { adopt } from '../sync/adopt/adopt.ts';
import type { AdoptKey, AdoptSettings, AdoptSurroundings } from '../sync/adopt/adopt-settings.ts';
import { clone, type CloneSettings, type CloneSurroundings } from '../sync/adopt/clone.ts';
import type { AdoptSummary, CloneSummary } from '../sync/adopt/adopt-summary.ts';
import { pathKind } from '../vault/files/path-kind.ts';
import { readConfFile } from '../vault/stored-conf.ts';
import type { Caller } from './caller.ts';
import { admitConf, type Agree } from './foreign-conf.ts';
import type { ForeignConfOptions } from './settings/layout-options.ts';
import type { OpenedConf } from './unlocking.ts';

/** How the key of a copy that is to be continued is obtained. */
export interface ContinuedSecret {
  readonly options: ForeignConfOptions;
  /** A master key is given, and no password. */
  readonly byMasterkey: boolean;
  readonly agree: Agree;
  /** Called with a conf before it is opened. */
  readonly onAdmitted?: (conf: Conf) => void;
  /** Reads the secret and opens a conf with it, and tries it on another. */
  readonly open: (conf: Conf, other: Conf | undefined) => Promise<OpenedConf>;
}

/**
 * Makes a folder a vault that continues a copy.
 *
 * @throws as `adopt`, `admitConf` and `secret.open`
 */
export async function adoptWith(
  caller: Caller,
  { settings, secret }: { readonly settings: AdoptSettings; readonly secret: ContinuedSecret },
  surroundings: Omit<AdoptSurroundings, 'unlock' | 'signal'>,
): Promise<AdoptSummary> {
  const { signal } = caller;
  const shownCopy = settings.destination.shown;
  const { source } = settings.place;
  return wiping((note) =>
    adopt(settings, {
      ...{ ...surroundings, signal },
      unlock: async (conf, confBytes) =>
        note(await keyToAdopt(caller, secret, { conf, confBytes, shownCopy, source })),
    }),
  );
}

/**
 * Restores a copy into a folder, and makes that folder a vault that continues the copy.
 *
 * @throws as `clone`, `admitConf` and `secret.open`
 */
export async function cloneWith(
  { signal }: Pick<Caller, 'signal'>,
  { settings, secret }: { readonly settings: CloneSettings; readonly secret: ContinuedSecret },
  surroundings: Omit<CloneSurroundings, 'unlock' | 'signal'>,
): Promise<CloneSummary> {
  const place = settings.restore.from.shown;
  return wiping((note) =>
    clone(settings, {
      ...{ ...surroundings, signal },
      unlock: async (conf) => {
        await admitConf(conf, { ...secret, place });
        secret.onAdmitted?.(conf);
        return note(await secret.open(conf, undefined));
      },
    }),
  );
}

/** @param work - passes every key to its argument, so that it is overwritten at the end */
async function wiping<T>(work: (note: (key: AdoptKey) => AdoptKey) => Promise<T>): Promise<T> {
  const keys: AdoptKey[] = [];
  try {
    return await work((key) => {
      keys.push(key);
      return key;
    });
  } finally {
    for (const { masterkey } of keys) masterkey.fill(0);
  }
}

/** A conf in a copy. */
interface ConfOfCopy {
  readonly conf: Conf;
  readonly confBytes: Uint8Array;
  /** Where the copy is, for messages. */
  readonly shownCopy: string;
  /** Absolute path of the folder of the future vault. */
  readonly source: string;
}

/**
 * The key of a copy, and the reverse conf of the source if it has the same key.
 *
 * @throws {VaultError} `vault-unreadable`; as `admitConf` and `open`
 */
async function keyToAdopt(
  { warn }: Caller,
  secret: ContinuedSecret,
  { conf, confBytes, shownCopy, source }: ConfOfCopy,
): Promise<AdoptKey> {
  const file = path.join(source, REVERSE_CONF_NAME);
  const stored = pathKind(file) === 'absent' ? undefined : readConfFile(file);
  const isSame = stored !== undefined && Buffer.compare(stored.bytes, confBytes) === 0;
  const other = stored === undefined || isSame ? undefined : tryParse(stored.bytes);
  const isAlike = other !== undefined && hasSameForm(other, conf);
  const admit = (): Promise<void> => admitConf(conf, { ...secret, place: shownCopy });
  // The user's own conf in the source may confirm that of the copy.
  if (!isSame && !isAlike) await admit();
  secret.onAdmitted?.(conf);
  const key = await secret.open(conf, isAlike ? other : undefined);
  const { masterkey, isUnproven } = key;
  if (stored === undefined) return { masterkey, isUnproven };
  if (isSame || key.isKeyOfOther) return { masterkey, isUnproven, reverseConf: stored };
  if (isAlike) await admit();
  const message = `${file} is not of this copy, as far as can be told: the conf of the copy is used`;
  warn('reverse-conf-differs', message);
  return { masterkey, isUnproven };
}

function hasSameForm(one: Conf, other: Conf): boolean {
  return (
    one.longNameMax === other.longNameMax &&
    one.flags.size === other.flags.size &&
    [...one.flags].every((flag) => other.flags.has(flag))
  );
}

function tryParse(bytes: Uint8Array): Conf | undefined {
  try {
    return parseConf(bytes);
  } catch (error) {
    if (error instanceof VaultError) return undefined;
    throw error;
  }
}
