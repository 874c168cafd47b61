/** How a command accesses a copy: where it is, how it is reached, and what opens it. */
import type { CopyAccess } from '../../library/opened-copy.ts';
import type { CopyPlace } from '../../library/copy-place.ts';
import type { Host } from '../frame/host.ts';
import { loginQuestions } from '../frame/login-questions.ts';
import type { Warnings } from '../frame/report.ts';
import { unlockCopy } from './cipher-folder.ts';
import type { CopyOptions } from './copy-options.ts';
import { reachSettings } from './reach-settings.ts';

/** @throws {UsageError} every code of `reachSettings` */
export function copyAccess(
  host: Host,
  warnings: Warnings,
  { place, options }: { readonly place: CopyPlace; readonly options: CopyOptions },
): CopyAccess {
  const { passwordFile } = options;
  return {
    place,
    reach: reachSettings(host, place, options),
    questions: loginQuestions(host, { ...place, passwordFile, warnings }),
    unlock: (from) => unlockCopy(host, warnings, from, options),
  };
}
