/** What a gocryptfs.conf that no vault has pinned must pass before a password is tried on it. */
import { InterruptedError, VaultError } from '../../errors.ts';
import { assertNamesTold, type NameModifiers } from '../../gocryptfs/conf/conf-claims.ts';
import type { Conf } from '../../gocryptfs/conf/config.ts';
import {
  LONG_NAME_MAX_DEFAULT,
  SCRYPT_LOG_N_DEFAULT,
  SCRYPT_WORK_DEFAULT,
} from '../../gocryptfs/format/limits.ts';
import type { LayoutOptions } from '../settings/layout-option.ts';
import { shownBytes } from '../terminal/figures.ts';
import type { Host } from '../frame/host.ts';
import { askYesNo } from '../frame/prompt.ts';

/** What the options say of a conf that is a stranger. */
export interface ForeignConfOptions extends Omit<LayoutOptions, 'layout'> {
  /** False for `--no-longnames`. */
  readonly longnames?: boolean;
  /** `--scryptn`: a cost of up to 2 to this power is agreed to. */
  readonly scryptn?: number;
}

/** What the options say about names. */
export function namesTold(options: ForeignConfOptions): NameModifiers {
  const { plaintextnames, deterministicNames, longnamemax, longnames } = options;
  const isLimited = longnamemax !== undefined && longnamemax !== LONG_NAME_MAX_DEFAULT;
  return {
    ...(plaintextnames === true && { plaintextNames: true }),
    ...(deterministicNames === true && { deterministicNames: true }),
    ...(isLimited && { longNameMax: longnamemax }),
    ...(longnames === false && { noLongNames: true }),
  };
}

/**
 * Refuses a conf that claims what it cannot prove and nobody has said, and one whose password costs
 * more than usual, unless somebody agrees. Its seal is compared when the key is opened.
 *
 * @param about.place - where it is, for messages
 * @param about.byMasterkey - no password is going to be tried
 * @throws {VaultError} `layout-unproven`, `scrypt-cost-unagreed`
 * @throws {UsageError} `layout-differs`
 * @throws {InterruptedError} `interrupted` — somebody did not agree
 */
export async function admitConf(
  host: Host,
  conf: Conf,
  about: {
    readonly options: ForeignConfOptions;
    readonly place: string;
    readonly byMasterkey: boolean;
  },
): Promise<void> {
  assertNamesTold(conf, namesTold(about.options), about.place);
  if (!about.byMasterkey) await agreeToCost(host, conf, about);
}

/**
 * Asks before a conf makes a password cost more than usual.
 *
 * @throws {VaultError} `scrypt-cost-unagreed` — there is nobody to ask
 * @throws {InterruptedError} `interrupted` — somebody did not agree
 */
export async function agreeToCost(
  host: Host,
  { scrypt: { logN, r, p } }: Conf,
  about: { readonly options: Pick<ForeignConfOptions, 'scryptn'>; readonly place: string },
): Promise<void> {
  const { options, place } = about;
  const cost = 2 ** logN * r * p;
  const agreed =
    SCRYPT_WORK_DEFAULT * 2 ** ((options.scryptn ?? SCRYPT_LOG_N_DEFAULT) - SCRYPT_LOG_N_DEFAULT);
  if (cost <= agreed) return;
  const memory = shownBytes(128 * 2 ** logN * r);
  const times = Math.ceil(cost / SCRYPT_WORK_DEFAULT);
  const claim = `the gocryptfs.conf of ${place} makes a password take ${memory} of memory and ${times} times as long as usual`;
  if (!host.canAsk) {
    const needed = Math.ceil(Math.log2(cost / SCRYPT_WORK_DEFAULT)) + SCRYPT_LOG_N_DEFAULT;
    throw new VaultError('scrypt-cost-unagreed', claim, {
      hint: `Whoever can write there can choose that. If it is all right: --scryptn ${needed}`,
      facts: { logN, r, p },
    });
  }
  if (await askYesNo(host, `${claim}. Go on?`)) return;
  throw new InterruptedError('interrupted', 'interrupted');
}
