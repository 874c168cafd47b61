/** The recovery sheet: a text with which its holder can read every copy without ecsync. */
import type { Conf } from '../../gocryptfs/conf/config.ts';
import type { FeatureFlag } from '../../gocryptfs/conf/feature-flags.ts';
import { shownText } from '../terminal/terminal.ts';

/** The content of a recovery sheet. */
export interface SheetFacts {
  readonly source: string;
  /** URLs of the remotes, in their order. */
  readonly remotes: readonly string[];
  readonly conf: Pick<Conf, 'flags' | 'creator' | 'longNameMax'>;
  readonly masterkey: Uint8Array;
  readonly date: Date;
}

/** A master key as gocryptfs prints it: 8 groups of 8 hex digits, joined by dashes. */
export function shownMasterkey(masterkey: Uint8Array): string {
  const digits = Buffer.from(masterkey).toString('hex');
  return (digits.match(/.{8}/g) ?? []).join('-');
}

/**
 * The options that gocryptfs needs with `-masterkey`, because it reads no conf then.
 *
 * @see gocryptfs cli_args.go, mount.go (v2.3): without them it assumes a plain `-init`
 */
function stockFlags(conf: Pick<Conf, 'flags' | 'longNameMax'>): readonly string[] {
  const has = (flag: FeatureFlag): boolean => conf.flags.has(flag);
  const isPlaintextNames = has('PlaintextNames');
  return [
    ...(has('AESSIV') ? ['-aessiv'] : []),
    ...(has('XChaCha20Poly1305') ? ['-xchacha'] : []),
    ...(isPlaintextNames ? ['-plaintextnames'] : []),
    ...(!has('DirIV') && !isPlaintextNames ? ['-deterministic-names'] : []),
    ...(!has('Raw64') && !isPlaintextNames ? ['-raw64=false'] : []),
    ...(has('HKDF') ? [] : ['-hkdf=false']),
    ...(has('LongNameMax') ? [`-longnamemax=${conf.longNameMax}`] : []),
  ];
}

/**
 * The first release of gocryptfs that reads such a copy.
 *
 * @see gocryptfs README, changelog
 */
function leastRelease({ flags }: Pick<Conf, 'flags'>): string {
  if (flags.has('LongNameMax')) return '2.3';
  const hasFolderIVs = flags.has('DirIV') || flags.has('PlaintextNames');
  if (flags.has('XChaCha20Poly1305') || !hasFolderIVs) return '2.2';
  return flags.has('HKDF') ? '1.3' : '1.1';
}

function localDate(date: Date): string {
  const two = (n: number): string => String(n).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** The lines of the sheet. */
export function recoverySheet(facts: SheetFacts): readonly string[] {
  const { conf, remotes } = facts;
  const key = shownMasterkey(facts.masterkey);
  const withKey = ['gocryptfs', '-masterkey=stdin', ...stockFlags(conf), 'CIPHERDIR', 'MOUNTPOINT'];
  return [
    'ECSYNC RECOVERY SHEET',
    '',
    `Date:        ${localDate(facts.date)}`,
    `Folder:      ${shownText(facts.source)}`,
    ...remotes.map((url, i) => `${i === 0 ? 'Copies at:  ' : '            '} ${shownText(url)}`),
    `Made by:     ${shownText(conf.creator)}`,
    `Flags:       ${[...conf.flags].join(' ')}`,
    '',
    'Master key:',
    '',
    `    ${key.slice(0, 36)}`,
    `    ${key.slice(36)}`,
    '',
    'Whoever has this key can read every copy of this folder, and without the key or the',
    'password nobody can. Keep this sheet on paper, away from this machine.',
    '',
    `To read a copy, only gocryptfs ${leastRelease(conf)} or newer is needed`,
    '(https://nuetzlich.net/gocryptfs/). Fetch the copy to a folder CIPHERDIR, make an empty',
    'folder MOUNTPOINT, and run:',
    '',
    '  with the password:',
    '',
    '    gocryptfs CIPHERDIR MOUNTPOINT',
    '',
    '  with the master key, when the password or gocryptfs.conf is lost:',
    '',
    `    ${withKey.join(' ')}`,
    '',
    '    and type the key, both lines of it as one, with or without the dashes.',
    '',
    'With ecsync, in the folder or with -C DIR:',
    '',
    '    ecsync key check --masterkey=stdin     is this the right key?',
    '    ecsync key passwd --masterkey=stdin    a new password, and gocryptfs.conf if it is lost',
  ];
}
