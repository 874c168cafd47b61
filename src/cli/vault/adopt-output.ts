/** The output of `adopt`: its findings and its summary, as text and as JSON. */
import type { AdoptFinding } from '../../sync/adopt/adopt-finding.ts';
import { cipherOf } from '../../gocryptfs/layout.ts';
import { shownBytes, shownCount } from '../../library/figures.ts';
import { describeFinding } from '../terminal/finding-texts.ts';
import { counted, findingPlace } from '../copies/fsck-output.ts';
import { jsonPath } from '../terminal/render-item.ts';
import { shownText } from '../terminal/terminal.ts';
import type { AdoptSummary } from '../../sync/adopt/adopt-summary.ts';

const REMEDIES: Readonly<Record<AdoptFinding['mending'], string>> = {
  repair: ' (--repair mends it)',
  resend: ' (the next push sends it anew)',
  lost: ' (the folder to copy does not have it)',
  none: '',
};

/** One line of text, with the remedy. */
export function adoptFindingText(finding: AdoptFinding, isRepairing: boolean): string {
  const { code, message, mending } = finding;
  const isUnread = code === 'unreadable';
  const described = { code, message: shownText(message), isUnread };
  const remedy = isRepairing && mending === 'repair' ? '' : REMEDIES[mending];
  return `${describeFinding(findingPlace(finding), described)}${remedy}`;
}

/** `{"type":"finding","code","mending","path"?,"folder","cipherPath","message"}` */
export function adoptFindingEvent(finding: AdoptFinding): Readonly<Record<string, unknown>> {
  const { code, mending, plainPath, plainDirectory, cipherPath, message } = finding;
  return {
    type: 'finding',
    code,
    mending,
    ...(plainPath === undefined ? {} : jsonPath('path', plainPath)),
    ...jsonPath('folder', plainDirectory),
    ...jsonPath('cipherPath', cipherPath),
    message,
  };
}

/** The result of an adoption as text, one sentence a line. */
export function adoptLines(summary: AdoptSummary, shownCopy: string): readonly string[] {
  const { matching, differing, missing, extra, filesToSend, bytesToSend, mended } = summary;
  const isDone = summary.vaultDir !== undefined;
  return [
    `${isDone ? 'adopted' : 'dry run, nothing was made; would adopt'} ${shownCopy}: ${layoutText(summary)}`,
    `of ${counted(matching + differing + missing, 'object')} here, the copy has ${shownCount(matching)} as they are, ${shownCount(differing)} that differ, and ${shownCount(missing)} not yet; it has ${shownCount(extra)} more`,
    ...(mended > 0 ? [`${counted(mended, 'file')} of the copy mended`] : []),
    filesToSend === 0
      ? 'the next push sends no content'
      : `the next push sends what changed of ${counted(filesToSend, 'file')}, ${shownBytes(bytesToSend)}`,
    ...(extra > 0 ? ['what only the copy has stays, until a push with --delete removes it'] : []),
  ];
}

function layoutText({ derivation, timeShiftSec, conf }: AdoptSummary): string {
  const names = conf.flags.has('PlaintextNames')
    ? ', plaintext names'
    : conf.flags.has('DirIV')
      ? ''
      : ', deterministic names';
  // Without encrypted names there is no virtual file whose time would show the release.
  const release = conf.flags.has('PlaintextNames')
    ? ''
    : ` (${timeShiftSec === 0 ? 'before 2.5' : '2.5 or later'})`;
  const origin =
    derivation === 'reverse'
      ? `written by gocryptfs -reverse${release}`
      : conf.creator.startsWith('ecsync')
        ? 'written by ecsync'
        : 'written through a mount of gocryptfs';
  return `${origin}, ${cipherOf(conf.flags)}${names}`;
}

/** The fields of the JSON summary that only adopt has. */
export function adoptFigures(
  { conf, derivation, timeShiftSec, ...figures }: AdoptSummary,
  name: string,
): Readonly<Record<string, unknown>> {
  return {
    ...figures,
    name,
    layout: derivation === 'reverse' ? 'reverse' : 'keyed',
    ...(timeShiftSec !== undefined && { timeShiftSec }),
    flags: [...conf.flags],
  };
}
