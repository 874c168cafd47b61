/** Makes the key of a new vault, or takes it from a conf of `gocryptfs -reverse`. */
import path from 'node:path';
import { UsageError, VaultError } from '../errors.ts';
import { parseConf, serialiseConf, type Conf } from '../gocryptfs/conf/config.ts';
import type { LayoutChoice } from '../gocryptfs/conf/feature-flags.ts';
import { createConf } from '../gocryptfs/conf/keys.ts';
import { pathKind } from '../vault/files/path-kind.ts';
import { REVERSE_CONF_NAME } from '../gocryptfs/names/names.ts';
import type { NewVaultKey } from '../vault/new-vault.ts';
import { readConfFile } from '../vault/stored-conf.ts';
import { modifiersGiven, type LayoutOptions } from './settings/layout-options.ts';
import type { Waiting } from './unlocking.ts';
import { readVersion } from './version.ts';

/** The key material of a new vault. The caller overwrites the master key. */
export interface MadeKey extends NewVaultKey {
  readonly conf: Conf;
  readonly masterkey: Buffer;
}

/** Options of a new vault. */
export interface NewVaultOptions extends LayoutOptions {
  /** Cost of trying one password: 2 to this power, 10 to 22. Default: 16, which takes 64 MiB. */
  readonly scryptn?: number;
}

/** How much younger virtual files are in new vaults of layout `reverse`, as since gocryptfs 2.5. */
const TIME_SHIFT_SEC = 10;

/**
 * The conf of `gocryptfs -reverse` in a folder, if it is to be used.
 *
 * @throws {UsageError} `reverse-conf-found` — it exists, but another layout was requested;
 *   `conflicting-options` — it already determines what the options would
 */
export function findReverseConf(source: string, options: NewVaultOptions): string | undefined {
  const file = path.join(source, REVERSE_CONF_NAME);
  if (pathKind(file) === 'absent') return undefined;
  if (options.layout !== 'reverse') {
    throw new UsageError(
      'reverse-conf-found',
      `${file} is there: this folder has been shown by gocryptfs -reverse`,
      {
        hint: 'To go on with the copy made from that: ecsync init --layout reverse. To start afresh with another key: move that file elsewhere first, but keep it as long as you keep that copy.',
      },
    );
  }
  const given = [
    ...modifiersGiven(options),
    ...(options.scryptn === undefined ? [] : ['--scryptn']),
  ];
  const [first] = given;
  if (first === undefined) return file;
  throw new UsageError('conflicting-options', `${file} is there and says what ${first} would`, {
    hint: `Leave ${given.join(' and ')} out: the copy stays as it is.`,
  });
}

/**
 * A new conf with a new master key.
 *
 * @param password - overwritten
 * @throws as `createConf`; what `waiting` throws
 */
export async function makeKey(
  waiting: Waiting,
  password: Uint8Array,
  about: { readonly choice: LayoutChoice; readonly scryptn?: number | undefined },
): Promise<MadeKey> {
  const { choice, scryptn } = about;
  const creating = createConf({
    password,
    creator: `ecsync ${readVersion()}`,
    layout: choice,
    ...(scryptn === undefined ? {} : { scryptLogN: scryptn }),
  }).finally(() => password.fill(0));
  const { conf, masterkey } = await waiting(creating);
  return {
    conf,
    confBytes: serialiseConf(conf),
    masterkey,
    ...(choice.layout === 'reverse' && {
      reverse: { timeShiftSec: TIME_SHIFT_SEC, confInSource: false },
    }),
  };
}

/**
 * The conf of `gocryptfs -reverse` in the source folder, opened with its password.
 *
 * @param open - opens the master key of the conf
 * @throws {VaultError} `conf-missing`, `vault-unreadable`, `layout-unsupported`,
 *   `fido2-unsupported`, and every code of `parseConf`; what `open` throws
 */
export async function takeReverseKey(
  file: string,
  open: (conf: Conf) => Promise<Buffer>,
): Promise<MadeKey> {
  const stored = readConfFile(file);
  if (stored === undefined) throw new VaultError('conf-missing', `${file} has gone`);
  const conf = parseConf(stored.bytes);
  if (!conf.flags.has('AESSIV')) {
    throw new VaultError('layout-unsupported', `${file}: the flag AESSIV is not set`, {
      hint: 'Only gocryptfs -init -reverse makes such a conf rightly. Move it elsewhere and run init again.',
    });
  }
  if (conf.fido2 !== undefined) {
    throw new VaultError('fido2-unsupported', `${file}: a FIDO2 token unlocks it`, {
      hint: 'Give it a password first: gocryptfs -passwd -reverse -masterkey=stdin DIR',
    });
  }
  return {
    conf,
    confBytes: stored.bytes,
    masterkey: await open(conf),
    reverse: { timeShiftSec: TIME_SHIFT_SEC, confInSource: true },
  };
}
