/** The files in the root of a copy that identify it. */
import { CONF_NAME, DIR_IV_NAME } from '../../gocryptfs/names/names.ts';
import { isFileIn } from '../../tree/local/glance.ts';
import { MIRROR_MARKER_NAME } from '../../view/mirror/mirror-view.ts';

export type RootFile = 'conf' | 'diriv' | 'mirror';

export const ROOT_FILE_NAMES: Readonly<Record<RootFile, string>> = {
  conf: CONF_NAME,
  diriv: DIR_IV_NAME,
  mirror: MIRROR_MARKER_NAME,
};

export const ROOT_FILES = ['conf', 'diriv', 'mirror'] as const;

/** Whether a folder of this machine has one of these files. */
export function hasRootFile(folder: string, kinds: readonly RootFile[] = ROOT_FILES): boolean {
  return kinds.some((kind) => isFileIn(folder, Buffer.from(ROOT_FILE_NAMES[kind])));
}

/** Whether a path of a copy, as its key, is that of one of these files. */
export function isRootFileName(key: string): boolean {
  return ROOT_FILES.some((kind) => ROOT_FILE_NAMES[kind] === key);
}
