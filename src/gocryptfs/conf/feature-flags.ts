/** The feature flags of gocryptfs.conf, and their valid combinations. */
import { confError, confTooNew, confTooOld } from './conf-json.ts';
import { LONG_NAME_MAX_DEFAULT } from '../format/limits.ts';

/** All flags of releases up to 2.6.1. */
export const FEATURE_FLAGS = [
  'PlaintextNames',
  'DirIV',
  'EMENames',
  'GCMIV128',
  'LongNames',
  'AESSIV',
  'Raw64',
  'HKDF',
  'FIDO2',
  'XChaCha20Poly1305',
  'LongNameMax',
] as const;
export type FeatureFlag = (typeof FEATURE_FLAGS)[number];

/** The layouts that `init` can create; stock gocryptfs opens all of them. */
export interface LayoutChoice {
  readonly layout: 'gcm' | 'reverse' | 'xchacha';
  /** Names and symlink targets are not encrypted. Excludes the two other modifiers. */
  readonly plaintextNames?: boolean;
  /** Equal names are stored alike everywhere, and no directory has an IV. */
  readonly deterministicNames?: boolean;
  /** 62 … 255; 255 is the default and needs no flag. */
  readonly longNameMax?: number;
}

/**
 * The flags of a layout, in the order in which stock writes them.
 *
 * @see gocryptfs internal/configfile/config_file.go Create (v2.6.1)
 */
export function flagsOfLayout(choice: LayoutChoice): readonly FeatureFlag[] {
  const { layout, plaintextNames = false, deterministicNames = false } = choice;
  const flags: FeatureFlag[] = ['HKDF'];
  flags.push(layout === 'xchacha' ? 'XChaCha20Poly1305' : 'GCMIV128');
  if (plaintextNames) flags.push('PlaintextNames');
  else {
    if (!deterministicNames) flags.push('DirIV');
    if ((choice.longNameMax ?? LONG_NAME_MAX_DEFAULT) !== LONG_NAME_MAX_DEFAULT) {
      flags.push('LongNameMax');
    }
    flags.push('EMENames', 'LongNames', 'Raw64');
  }
  if (layout === 'reverse') flags.push('AESSIV');
  return flags;
}

function isFeatureFlag(value: unknown): value is FeatureFlag {
  return FEATURE_FLAGS.some((flag) => flag === value);
}

/** [flag, the flag it needs or excludes, which of the two] */
const RULES: readonly (readonly [FeatureFlag, 'needs' | 'excludes', FeatureFlag])[] = [
  ['AESSIV', 'needs', 'GCMIV128'],
  ['XChaCha20Poly1305', 'excludes', 'AESSIV'],
  ['XChaCha20Poly1305', 'excludes', 'GCMIV128'],
  ['XChaCha20Poly1305', 'needs', 'HKDF'],
  ['PlaintextNames', 'excludes', 'EMENames'],
  ['PlaintextNames', 'excludes', 'DirIV'],
  ['PlaintextNames', 'excludes', 'LongNames'],
  ['PlaintextNames', 'excludes', 'Raw64'],
  ['PlaintextNames', 'excludes', 'LongNameMax'],
];

/**
 * The set of flags in a conf; order and repetition mean nothing.
 *
 * @throws {VaultError} `conf-flags-invalid` — not a list of strings; `conf-flag-unknown` — a newer
 *   or foreign feature, which could change the meaning of everything; `conf-flags-conflict` — a
 *   combination that stock refuses; `conf-too-old` — releases 0.4 … 0.6
 * @see gocryptfs internal/configfile/validate.go (v2.6.1)
 */
export function parseFeatureFlags(value: unknown): ReadonlySet<FeatureFlag> {
  if (value === null) {
    throw confTooOld('conf-too-old', 'it has no feature flags, as before release 0.5');
  }
  if (!Array.isArray(value)) throw confError('conf-flags-invalid', 'FeatureFlags is not a list');
  const flags = new Set<FeatureFlag>();
  for (const flag of value as readonly unknown[]) {
    if (typeof flag !== 'string') {
      throw confError('conf-flags-invalid', 'FeatureFlags holds something that is not a string');
    }
    if (!isFeatureFlag(flag)) {
      throw confTooNew('conf-flag-unknown', `unknown feature flag ${JSON.stringify(flag)}`);
    }
    flags.add(flag);
  }
  assertLegalCombination(flags);
  return flags;
}

function assertLegalCombination(flags: ReadonlySet<FeatureFlag>): void {
  for (const [flag, verb, other] of RULES) {
    if (flags.has(flag) && flags.has(other) !== (verb === 'needs')) {
      throw confError('conf-flags-conflict', `the flag ${flag} ${verb} ${other}`);
    }
  }
  if (!flags.has('GCMIV128') && !flags.has('XChaCha20Poly1305')) {
    if (!flags.has('HKDF')) {
      throw confTooOld('conf-too-old', 'neither GCMIV128 nor HKDF is set, as before release 0.7');
    }
    throw confError('conf-flags-conflict', 'neither GCMIV128 nor XChaCha20Poly1305 is set');
  }
}
