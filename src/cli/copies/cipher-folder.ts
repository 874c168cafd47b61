/** Which copy a command reads, and what opens it: the vault's keys, or the folder's own conf. */
import fs from 'node:fs';
import path from 'node:path';
import { UsageError, VaultError } from '../../errors.ts';
import { parseConf, type Conf } from '../../gocryptfs/conf/config.ts';
import { flagsOfLayout, type FeatureFlag } from '../../gocryptfs/conf/feature-flags.ts';
import { CONF_LENGTH_MAX, LONG_NAME_MAX_DEFAULT } from '../../gocryptfs/format/limits.ts';
import { fileFailure } from '../../tree/file-failure.ts';
import type { RemoteConfig } from '../../vault/config/config.ts';
import { noRemote } from '../../vault/config/config-edit.ts';
import {
  looksLikeDestination,
  parseDestination,
  type Destination,
} from '../../vault/destination/destination.ts';
import { pathKind } from '../../vault/files/path-kind.ts';
import type { VaultFrame } from '../../vault/vault.ts';
import type { FolderLayoutOptions } from './copy-options.ts';
import { layoutOf, modifiersGiven } from '../settings/layout-option.ts';
import { admitConf } from '../secrets/foreign-conf.ts';
import type { Host } from '../frame/host.ts';
import type { CommonOptions, SecretOptions } from '../frame/options.ts';
import { ofVaultIfAny, readVaultFrameOf } from '../frame/place.ts';
import type { Warnings } from '../frame/report.ts';
import { unlockConf, unlockVault } from '../secrets/secrets.ts';
import { destinationOfRemote, remotesAt } from '../../vault/destination/remote-destination.ts';

/** Where a copy is, and whose keys open it. */
export interface CopyPlace {
  readonly destination: Destination;
  /** Set when the vault's keys open it; otherwise its own conf, or a master key, does. */
  readonly vault?: VaultFrame;
  /** Name of the remote, when it is one. */
  readonly remote?: string;
  /** It is a plain mirror: nothing has to be opened. */
  readonly isMirror?: boolean;
  /** The copy's own conf, when it was read already; that of a local folder is read when needed. */
  readonly confBytes?: Uint8Array;
}

/** What a copy is decrypted with. Whoever asked for the key overwrites it when done. */
export interface CopyKey {
  readonly conf: Pick<Conf, 'flags' | 'longNameMax'>;
  readonly masterkey: Buffer;
}

/**
 * Reads `[REMOTE|CIPHERDIR]`. A remote of the vault is opened with the vault's keys. So is a folder
 * that is named, unless it has a conf of its own that differs, or no vault is here.
 *
 * @throws {UsageError} `no-remote`, `not-a-folder`, `destination-invalid`, `destination-password`,
 *   `not-encrypted` — a plain mirror
 * @throws {VaultError} `no-vault`, and every other of `readVaultFrame`
 */
export function findCopy(host: Host, options: CommonOptions, word: string | undefined): CopyPlace {
  const place = findPlace(host, options, word);
  if (place.isMirror === true) throw notEncrypted(place);
  return place;
}

/** As {@link findCopy}, and plain mirrors too: they have no key. */
export function findPlace(host: Host, options: CommonOptions, word: string | undefined): CopyPlace {
  const vault = vaultIfAny(host, options, word !== undefined);
  const remotes = vault?.config.remotes ?? [];
  const { platform, folder } = host;
  const named = word === undefined ? remotes[0] : remotes.find(({ name }) => name === word);
  if (vault !== undefined && named !== undefined) {
    const destination = destinationOfRemote(named, vault, platform);
    return { destination, vault, remote: named.name, ...mirrorIf(named) };
  }
  if (word === undefined) {
    throw new UsageError('no-remote', 'this vault has no remote yet', {
      hint: 'Name the encrypted folder, or add a remote: ecsync remote add NAME user@host:path',
    });
  }
  if (!looksLikeDestination(word) && pathKind(path.resolve(folder, word)) !== 'folder') {
    if (vault !== undefined) throw noRemote(word, remotes);
    throw new UsageError('not-a-folder', `${path.resolve(folder, word)} is not a folder`, {
      hint: 'Name an encrypted folder, or a remote of the vault.',
    });
  }
  const text = looksLikeDestination(word) ? word : `./${word}`;
  const destination = parseDestination(text, { platform, folder });
  if (vault === undefined) return { destination };
  const [remote] = remotesAt(vault, destination.shown, platform);
  const isVaults = remote !== undefined || !hasOtherConf(destination, vault);
  return {
    destination,
    ...(isVaults ? { vault } : {}),
    ...(remote === undefined ? {} : { remote: remote.name, ...mirrorIf(remote) }),
  };
}

function mirrorIf({ encrypt }: RemoteConfig): Pick<CopyPlace, 'isMirror'> {
  return encrypt === false ? { isMirror: true } : {};
}

function notEncrypted({ remote, destination }: CopyPlace): UsageError {
  const name = remote ?? destination.shown;
  return new UsageError(
    'not-encrypted',
    `'${name}' is a plain mirror: there is nothing to decrypt`,
    {
      hint: 'Its files can be read there as they are. To get them back: ecsync restore, or any copy tool.',
    },
  );
}

function vaultIfAny(
  host: Host,
  options: CommonOptions,
  isOptional: boolean,
): VaultFrame | undefined {
  const open = (): VaultFrame => readVaultFrameOf(host, options);
  return isOptional ? ofVaultIfAny(host, options, open) : open();
}

function hasOtherConf(destination: Destination, vault: VaultFrame): boolean {
  if (destination.kind !== 'local') return false;
  const bytes = readOwnConf(destination.path);
  if (bytes === undefined || vault.confBytes === undefined) return false;
  return Buffer.compare(bytes, vault.confBytes) !== 0;
}

/**
 * The conf in an encrypted folder; undefined when it has none that is a plain file of sane size.
 *
 * @throws {FileError} `open-failed`
 */
function readOwnConf(folder: string): Buffer | undefined {
  const file = path.join(folder, 'gocryptfs.conf');
  try {
    const stats = fs.lstatSync(file, { throwIfNoEntry: false });
    if (stats?.isFile() !== true || stats.size > CONF_LENGTH_MAX) return undefined;
    return fs.readFileSync(file);
  } catch (error) {
    throw fileFailure(error, 'open-failed', 'cannot read', Buffer.from(file));
  }
}

/**
 * Opens the key of a copy: the vault's; or with the password and the conf of the folder itself; or,
 * with `--masterkey`, with the layout that the options or else the folder's conf tell. A conf that no
 * vault has pinned is obeyed as far as its seal or the options vouch for it.
 *
 * @throws {UsageError} `conflicting-options`, and every one of `admitConf`
 * @throws {VaultError} `conf-missing`, `conf-unusable`, and every code of `parseConf`, `admitConf`
 * @throws {IntegrityError} `conf-seal-wrong`
 * @throws {PasswordError} as `unlockVault`
 */
export async function unlockCopy(
  host: Host,
  warnings: Warnings,
  { vault, destination, confBytes }: CopyPlace,
  options: FolderLayoutOptions & SecretOptions,
): Promise<CopyKey> {
  const told = layoutTold(options, vault !== undefined);
  const byMasterkey = options.masterkey !== undefined;
  if (told !== undefined && !byMasterkey) {
    throw new UsageError('conflicting-options', 'the layout is told but no master key', {
      hint: 'With a password the conf says the layout. Add --masterkey=stdin, or leave it out.',
    });
  }
  if (told !== undefined) {
    return { conf: told, masterkey: await unlockConf(host, undefined, options, warnings) };
  }
  if (vault !== undefined) return unlockVault(host, vault, options, warnings);
  const isLocal = destination.kind === 'local';
  const bytes = confBytes ?? (isLocal ? readOwnConf(destination.path) : undefined);
  if (bytes === undefined && !byMasterkey) {
    throw isLocal ? noOwnConf(destination.path) : confMissing(destination.shown);
  }
  const conf = bytes === undefined ? undefined : parseConf(bytes);
  if (conf !== undefined) {
    await admitConf(host, conf, { options, place: destination.shown, byMasterkey });
  }
  const masterkey = await unlockConf(host, conf, options, warnings);
  return { conf: conf ?? confOfLayout(options), masterkey };
}

/** Why a folder's conf was not read: it has none, or something else has its name. */
function noOwnConf(folder: string): VaultError {
  const file = path.join(folder, 'gocryptfs.conf');
  if (fs.lstatSync(file, { throwIfNoEntry: false }) === undefined) return confMissing(folder);
  return new VaultError('conf-unusable', `${file} is not a file that gocryptfs made`, {
    hint: 'It is too large, or no plain file. Put the right one there, or give the master key: --masterkey=stdin',
  });
}

function confMissing(folder: string): VaultError {
  return new VaultError('conf-missing', `${folder} has no gocryptfs.conf`, {
    hint: 'Is it an encrypted folder, and its disk mounted? Without the conf only the master key opens it: --masterkey=stdin',
  });
}

/**
 * The layout that the options tell, to be taken without a conf. How names are stored is no more than a
 * word about the conf when there is a password, which needs one; a vault's conf needs no such word.
 */
function layoutTold(
  options: FolderLayoutOptions & SecretOptions,
  isVault: boolean,
): CopyKey['conf'] | undefined {
  const { layout, hkdf, raw64, longnames, masterkey } = options;
  const isTold = layout !== undefined || !hkdf || !raw64;
  const isNamesTold = modifiersGiven(options).length > 0 || longnames === false;
  const isAboutConf = masterkey === undefined && !isVault;
  return isTold || (isNamesTold && !isAboutConf) ? confOfLayout(options) : undefined;
}

/** @throws {UsageError} `conflicting-options` — no filesystem has this combination */
function confOfLayout(options: FolderLayoutOptions): CopyKey['conf'] {
  const choice = layoutOf(options);
  if (choice.layout === 'xchacha' && !options.hkdf) {
    throw new UsageError(
      'conflicting-options',
      '--layout xchacha and --no-hkdf exclude each other',
      {
        hint: 'The recovery sheet says how the copy is encrypted.',
      },
    );
  }
  const flags = new Set<FeatureFlag>(flagsOfLayout(choice));
  if (!options.hkdf) flags.delete('HKDF');
  if (!options.raw64) flags.delete('Raw64');
  if (options.longnames === false) flags.delete('LongNames');
  return { flags, longNameMax: choice.longNameMax ?? LONG_NAME_MAX_DEFAULT };
}
