/** Checks a gocryptfs.conf that no vault has pinned, before a password is tried on it. */
import { VaultError } from '../errors.ts';
import { interrupted } from '../interruption.ts';
import { assertNamesConfirmed } from '../gocryptfs/conf/conf-claims.ts';
import type { Conf } from '../gocryptfs/conf/config.ts';
import { SCRYPT_LOG_N_DEFAULT, SCRYPT_WORK_DEFAULT } from '../gocryptfs/format/limits.ts';
import { shownBytes } from './figures.ts';
import { confirmedNames, type ForeignConfOptions } from './settings/layout-options.ts';

/** Asks whether a claim of a conf is accepted. Absent: nobody can be asked. */
export type Agree = ((claim: string) => Promise<boolean>) | undefined;

/** The context of a conf that no vault has pinned. */
export interface ForeignConf {
  readonly options: ForeignConfOptions;
  /** Where it is, for messages. */
  readonly place: string;
  /** A master key is used, and no password. */
  readonly byMasterkey: boolean;
  readonly agree: Agree;
}

/**
 * Refuses a conf with claims that are neither proved nor confirmed by the options, and one whose
 * password costs more than usual, unless that is accepted. Its seal is compared when the key is
 * opened.
 *
 * @throws {VaultError} `layout-unproven`, `scrypt-cost-unagreed`
 * @throws {UsageError} `layout-differs`
 * @throws {InterruptedError} `interrupted` — the claim was not accepted
 */
export async function admitConf(conf: Conf, about: ForeignConf): Promise<void> {
  assertNamesConfirmed(conf, confirmedNames(about.options), about.place);
  if (!about.byMasterkey) await agreeToCost(conf, about);
}

/**
 * Asks whether a higher cost of the password is accepted.
 *
 * @throws {VaultError} `scrypt-cost-unagreed` — nobody can be asked
 * @throws {InterruptedError} `interrupted` — it was not accepted
 */
export async function agreeToCost(
  { scrypt: { logN, r, p } }: Conf,
  about: Pick<ForeignConf, 'place' | 'agree'> & {
    readonly options: Pick<ForeignConfOptions, 'scryptn'>;
  },
): Promise<void> {
  const { options, place, agree } = about;
  const cost = 2 ** logN * r * p;
  const agreed =
    SCRYPT_WORK_DEFAULT * 2 ** ((options.scryptn ?? SCRYPT_LOG_N_DEFAULT) - SCRYPT_LOG_N_DEFAULT);
  if (cost <= agreed) return;
  const memory = shownBytes(128 * 2 ** logN * r);
  const times = Math.ceil(cost / SCRYPT_WORK_DEFAULT);
  const claim = `the gocryptfs.conf of ${place} makes a password take ${memory} of memory and ${times} times as long as usual`;
  if (agree === undefined) {
    const needed = Math.ceil(Math.log2(cost / SCRYPT_WORK_DEFAULT)) + SCRYPT_LOG_N_DEFAULT;
    throw new VaultError('scrypt-cost-unagreed', claim, {
      hint: `Whoever can write there can choose that. If it is all right: --scryptn ${needed}`,
      facts: { logN, r, p },
    });
  }
  if (await agree(`${claim}. Go on?`)) return;
  throw interrupted();
}
