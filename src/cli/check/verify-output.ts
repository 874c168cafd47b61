/** The output of `verify` about one difference, as text and as JSON. */
import type { VerifyFinding } from '../../sync/check/verify-summary.ts';
import { jsonPath, whyNotPlain } from '../terminal/render-item.ts';
import { shown } from '../terminal/terminal.ts';

const STRUCTURES = {
  'folder-key': "the folder's key file",
  'long-name': 'the file of its long name',
  conf: 'the configuration with the wrapped key',
  mirror: 'the file that says that this is a mirror',
} as const;

/** One line: the kind, the path, and further remarks in parentheses. */
export function differenceText(finding: VerifyFinding, repaired: boolean): string {
  const { kind, structure, path, plain, attributes, changedHere, verdict, maybeMissing } = finding;
  const remarks = [
    ...(structure === undefined ? [] : [STRUCTURES[structure]]),
    ...(plain || structure !== undefined ? [] : [whyNotPlain(path)]),
    ...(maybeMissing ? ['or missing'] : []),
    ...attributesText(kind, changedHere ? attributes.filter((a) => a !== 'time') : attributes),
    ...(verdict === 'pending' ? ['not pushed yet'] : []),
    ...(changedHere && verdict !== 'pending' ? ['changed here since, by its time'] : []),
    ...(repaired ? [kind === 'extra' ? 'deleted' : 'repaired'] : []),
  ];
  return `${kind} ${shown(path)}${remarks.length === 0 ? '' : ` (${remarks.join('; ')})`}`;
}

function attributesText(kind: VerifyFinding['kind'], attributes: readonly string[]): string[] {
  if (attributes.length === 0) return [];
  return [kind === 'attributes' ? attributes.join(', ') : `also ${attributes.join(', ')}`];
}

/**
 * `{"type":"difference","kind","object","structure"?,"path","plain","attributes","changedHere",
 * "verdict","maybeMissing","repaired"}`
 */
export function differenceEvent(
  finding: VerifyFinding,
  repaired: boolean,
): Readonly<Record<string, unknown>> {
  const { path, ...rest } = finding;
  return { type: 'difference', ...rest, ...jsonPath('path', path), repaired };
}
