/** Options for the encryption of a new or an existing copy. */
import { UsageError } from '../../errors.ts';
import type { NameModifiers } from '../../gocryptfs/conf/conf-claims.ts';
import type { Conf } from '../../gocryptfs/conf/config.ts';
import {
  flagsOfLayout,
  type FeatureFlag,
  type LayoutChoice,
} from '../../gocryptfs/conf/feature-flags.ts';
import { LONG_NAME_MAX_DEFAULT } from '../../gocryptfs/format/limits.ts';

/** Options that choose the layout of a new copy. */
export interface LayoutOptions {
  readonly layout?: LayoutChoice['layout'];
  readonly plaintextnames?: boolean;
  readonly deterministicNames?: boolean;
  readonly longnamemax?: number;
}

/** Names of layouts. */
export const LAYOUTS: readonly LayoutChoice['layout'][] = ['gcm', 'reverse', 'xchacha'];

/**
 * Parses the value of `--layout`.
 *
 * @throws {UsageError} `layout-unknown`
 */
export function parseLayout(name: string): LayoutChoice['layout'] {
  const layout = LAYOUTS.find((known) => known === name);
  if (layout !== undefined) return layout;
  throw new UsageError('layout-unknown', `there is no layout '${name}'`, {
    hint: 'Use gcm, reverse or xchacha.',
  });
}

/** Options that confirm the claims of a conf that no vault has pinned. */
export interface ForeignConfOptions extends Omit<LayoutOptions, 'layout'> {
  /** False for `--no-longnames`. */
  readonly longnames?: boolean;
  /** `--scryptn`: a cost of up to 2 to this power is accepted. */
  readonly scryptn?: number;
}

/** The names of a layout according to the options. */
export function confirmedNames(options: ForeignConfOptions): NameModifiers {
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
 * Options that describe how a folder is encrypted: only the claims its conf cannot prove, or
 * everything.
 */
export interface FolderLayoutOptions extends LayoutOptions, ForeignConfOptions {
  /** False for `--no-hkdf`: made before gocryptfs 1.3. Default: true. */
  readonly hkdf?: boolean;
  /** False for `--no-raw64`: names end in `=`. Default: true. */
  readonly raw64?: boolean;
}

/**
 * The layout that the options choose together.
 *
 * @throws {UsageError} `conflicting-options` — a useless combination of modifiers, which stock
 *   gocryptfs would silently ignore
 */
export function layoutOf(options: LayoutOptions): LayoutChoice {
  const layout = parseLayout(options.layout ?? 'gcm');
  const { plaintextnames, deterministicNames, longnamemax } = options;
  if (plaintextnames === true) {
    const other =
      deterministicNames === true ? '--deterministic-names' : longnamemax && '--longnamemax';
    if (other !== undefined) {
      throw new UsageError(
        'conflicting-options',
        `--plaintextnames and ${other} exclude each other`,
        {
          hint: `${other} says how names are encrypted. Leave one of them out.`,
        },
      );
    }
  }
  return {
    layout,
    ...(plaintextnames === true && { plaintextNames: true }),
    ...(deterministicNames === true && { deterministicNames: true }),
    ...(longnamemax !== undefined && { longNameMax: longnamemax }),
  };
}

/** The given options of {@link LayoutOptions}, without `--layout`. */
export function modifiersGiven(options: LayoutOptions): readonly string[] {
  return [
    ...(options.plaintextnames === true ? ['--plaintextnames'] : []),
    ...(options.deterministicNames === true ? ['--deterministic-names'] : []),
    ...(options.longnamemax === undefined ? [] : ['--longnamemax']),
  ];
}

/** What is needed to decrypt a copy, beside its key. */
export type CopyForm = Pick<Conf, 'flags' | 'longNameMax'>;

/**
 * The layout that the options describe, to be used without a conf. With a password there is always
 * a conf, and options about names only confirm its claims. A vault's conf needs no confirmation.
 *
 * @returns undefined if the conf determines the layout
 * @throws {UsageError} `conflicting-options`
 */
export function givenLayout(
  options: FolderLayoutOptions,
  about: { readonly byMasterkey: boolean; readonly isVault: boolean },
): CopyForm | undefined {
  const { layout, hkdf, raw64, longnames } = options;
  const isTold = layout !== undefined || hkdf === false || raw64 === false;
  const areNamesConfirmed = modifiersGiven(options).length > 0 || longnames === false;
  const isAboutConf = !about.byMasterkey && !about.isVault;
  return isTold || (areNamesConfirmed && !isAboutConf) ? formOfLayout(options) : undefined;
}

/** @throws {UsageError} `conflicting-options` — no filesystem has this combination */
export function formOfLayout(options: FolderLayoutOptions): CopyForm {
  const choice = layoutOf(options);
  if (choice.layout === 'xchacha' && options.hkdf === false) {
    throw new UsageError(
      'conflicting-options',
      '--layout xchacha and --no-hkdf exclude each other',
      {
        hint: 'The recovery sheet says how the copy is encrypted.',
      },
    );
  }
  const flags = new Set<FeatureFlag>(flagsOfLayout(choice));
  if (options.hkdf === false) flags.delete('HKDF');
  if (options.raw64 === false) flags.delete('Raw64');
  if (options.longnames === false) flags.delete('LongNames');
  return { flags, longNameMax: choice.longNameMax ?? LONG_NAME_MAX_DEFAULT };
}
