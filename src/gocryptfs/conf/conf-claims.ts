/** Claims of a gocryptfs.conf about names, which only its seal or a person can confirm. */
import { UsageError, VaultError } from '../../errors.ts';
import type { Conf } from './config.ts';
import { LONG_NAME_MAX_DEFAULT } from '../format/limits.ts';

/** How names are stored where that differs from a plain `gocryptfs -init`. */
export interface NameModifiers {
  /** Names and link targets are not encrypted. */
  readonly plaintextNames?: boolean;
  /** Folders have no IV. */
  readonly deterministicNames?: boolean;
  /** Longer encrypted names are hashed. */
  readonly longNameMax?: number;
  /** Names are never hashed. */
  readonly noLongNames?: boolean;
}

/** One modifier: its option, its meaning, and the danger of a false claim. */
interface Claim {
  readonly option: string;
  readonly meaning: string;
  readonly danger: string;
}

/** What a conf says about names. */
export function nameModifiersOf({
  flags,
  longNameMax,
}: Pick<Conf, 'flags' | 'longNameMax'>): NameModifiers {
  if (flags.has('PlaintextNames')) return { plaintextNames: true };
  return {
    ...(!flags.has('DirIV') && { deterministicNames: true }),
    ...(longNameMax !== LONG_NAME_MAX_DEFAULT && { longNameMax }),
    ...(!flags.has('LongNames') && { noLongNames: true }),
  };
}

/**
 * Compares the claims about names of a conf that no vault has pinned with what the user said. For a
 * conf whose seal was verified the user need not say anything; any other could have been written by
 * whoever holds the copy.
 *
 * @param place - where the conf is, for messages
 * @throws {VaultError} `layout-unproven` — it has no seal, and claims what the user did not say
 * @throws {UsageError} `layout-differs` — the user said what the conf does not
 */
export function assertNamesConfirmed(conf: Conf, told: NameModifiers, place: string): void {
  const claimed = nameModifiersOf(conf);
  const claims = claimsOf(claimed);
  const said = claimsOf(told);
  const isMissing = ({ option }: Claim, where: readonly Claim[]): boolean =>
    !where.some((other) => other.option === option);
  const surplus = said.find((one) => isMissing(one, claims));
  if (surplus !== undefined) throw differs(surplus, place);
  const unproven = claims.find((one) => isMissing(one, said));
  if (unproven === undefined || conf.seal !== undefined) return;
  const options = claims.map(({ option }) => option).join(' ');
  throw new VaultError(
    'layout-unproven',
    `${place}: its gocryptfs.conf claims that ${unproven.meaning}, and nothing proves that it was made so`,
    {
      hint: `Whoever can write there can claim it: ${unproven.danger}. If you know that it is true: ${options}`,
      facts: { claimed: options },
    },
  );
}

function differs({ option, meaning }: Claim, place: string): UsageError {
  return new UsageError(
    'layout-differs',
    `${option} says that ${meaning}, but the gocryptfs.conf of ${place} does not`,
    { hint: 'Is it the right copy? If so, leave that option out.' },
  );
}

function claimsOf(modifiers: NameModifiers): readonly Claim[] {
  const { plaintextNames, deterministicNames, longNameMax, noLongNames } = modifiers;
  return [
    ...(plaintextNames === true ? [PLAINTEXT_NAMES] : []),
    ...(deterministicNames === true ? [DETERMINISTIC_NAMES] : []),
    ...(longNameMax === undefined ? [] : [longNamesOver(longNameMax)]),
    ...(noLongNames === true ? [NO_LONG_NAMES] : []),
  ];
}

const PLAINTEXT_NAMES: Claim = {
  option: '--plaintextnames',
  meaning: 'names and link targets are not encrypted',
  danger:
    'names and link targets would be of its choice, and a later push would store yours in clear',
};
const DETERMINISTIC_NAMES: Claim = {
  option: '--deterministic-names',
  meaning: 'folders have no IV',
  danger: 'a later push would store equal names alike in every folder',
};
const NO_LONG_NAMES: Claim = {
  option: '--no-longnames',
  meaning: 'long names are not hashed',
  danger: 'stock gocryptfs could not read the long names of a later push',
};

function longNamesOver(longNameMax: number): Claim {
  return {
    option: `--longnamemax ${longNameMax}`,
    meaning: `names of more than ${longNameMax} characters are hashed`,
    danger: 'a later push would rename what is there',
  };
}
