/** What a push leaves out by more than names: marked folders, other file systems, sizes and ages. */
import { UsageError } from '../../errors.ts';
import type { PushSettings } from '../../sync/push/source/push-settings.ts';
import type { PushOptions } from '../settings/push-options.ts';

/** Name of the files whose rules count with `--ignore-files`. */
const IGNORE_FILE_NAME = '.ecsyncignore';

/**
 * What a push leaves out by size, age, marks and mount points; undefined when that is nothing.
 *
 * @throws {UsageError} `option-invalid`
 */
export function limitsOf(options: PushOptions): PushSettings['limits'] {
  const { ignoreFiles, excludeCaches, oneFileSystem, maxSize, minSize } = options;
  const { maxAge, minAge } = options;
  const tags = [options.excludeIfPresent ?? []].flat();
  const limits = {
    ...(ignoreFiles === true && { ignoreFileName: IGNORE_FILE_NAME }),
    ...(excludeCaches === true && { excludeCaches }),
    ...(tags.length > 0 && { folderTags: tags.map(asFolderTag) }),
    ...(oneFileSystem === true && { oneFileSystem }),
    ...(maxSize !== undefined && { maxBytes: maxSize }),
    ...(minSize !== undefined && { minBytes: minSize }),
    ...(maxAge !== undefined && { maxAgeSec: maxAge }),
    ...(minAge !== undefined && { minAgeSec: minAge }),
  };
  return Object.keys(limits).length === 0 ? undefined : limits;
}

/** @throws {UsageError} `option-invalid` */
function asFolderTag(name: string): Uint8Array {
  if (name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name)) return Buffer.from(name);
  throw new UsageError(
    'option-invalid',
    `--exclude-if-present takes a file's name, not "${name}"`,
    {
      hint: 'Give the name alone, such as .nobackup: what is in a folder with such a file is left out.',
    },
  );
}
