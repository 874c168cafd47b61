import { expect, it } from 'vitest';
import { movedFilesText } from '../../../src/sync/copy/fsck-finding.ts';

it('files that may have been renamed are told with what to do about them', () => {
  expect(movedFilesText(1)).toMatch(/^1 file was encrypted under another name than now\. /);
  expect(movedFilesText(121)).toBe(
    '121 files were encrypted under another name than now. Renaming does that; so does somebody who moves files in the copy. If nobody has renamed them, compare them with the source (-v names them)',
  );
});
