/** One changed object, as a line of `-i` or `-v` and as JSON. */
import type { ItemLine } from '../../sync/push/source/push-settings.ts';
import type { Output } from './output.ts';
import { shown, utf8Text } from './terminal.ts';

/** rsync's line of `-i`: eleven characters, a space, the path, and the target of a link. */
export function itemText(item: ItemLine): string {
  const target = item.target ? ` ${item.target.arrow} ${shown(item.target.bytes)}` : '';
  return `${item.change} ${shown(item.path)}${target}${item.plain ? '' : ` (${whyNotPlain(item.path)})`}`;
}

/**
 * Why a path is shown encrypted. For a long name the path holds only a hash, and the name itself is
 * in a file beside it.
 */
export function whyNotPlain(cipherPath: Uint8Array): string {
  const path = Buffer.from(cipherPath).toString('latin1');
  if (/(^|\/)gocryptfs\.longname\.[^/]+\/?$/.test(path))
    return 'a long name, known by its hash only';
  const isBelow = /(^|\/)gocryptfs\.longname\.[^/]+\//.test(path);
  return isBelow ? 'in a folder with a long name' : 'not a name of this vault';
}

/** The path alone, as `-v` lists it. */
export function itemName(item: ItemLine): string {
  const isDeleted = item.change.startsWith('*deleting');
  return `${isDeleted ? 'deleting ' : ''}${shown(item.path)}`;
}

/**
 * A path for JSON. Bytes that are not UTF-8 are escaped in the text, and `…Base64` holds the
 * original bytes.
 */
export function jsonPath(key: string, bytes: Uint8Array): Readonly<Record<string, string>> {
  const text = utf8Text(bytes);
  if (text !== undefined) return { [key]: text };
  return { [key]: shown(bytes), [`${key}Base64`]: Buffer.from(bytes).toString('base64') };
}

/** `{"type":"item","change","path","plain","target"?,"arrow"?}` */
export function itemEvent(item: ItemLine): Readonly<Record<string, unknown>> {
  return {
    type: 'item',
    change: item.change,
    ...jsonPath('path', item.path),
    plain: item.plain,
    ...(item.target ? { arrow: item.target.arrow, ...jsonPath('target', item.target.bytes) } : {}),
  };
}

/** Reports a change: its line with `-i`, the path with `-v`, otherwise nothing. */
export function reportItem(out: Output, item: ItemLine, isItemized: boolean): void {
  if (out.mode.json) {
    if (isItemized || out.mode.verbose) out.event(itemEvent(item));
  } else if (isItemized) out.data(itemText(item));
  else if (out.mode.verbose) out.data(itemName(item));
}

/** Filters lines that earlier attempts have reported already. */
export function newsOnly(): (line: ItemLine) => boolean {
  const told = new Set<string>();
  return ({ change, path }) => {
    const before = told.size;
    return told.add(`${change} ${Buffer.from(path).toString('latin1')}`).size > before;
  };
}
