/** Asks for the key of a copy that a vault will continue. */
import type { ContinuedSecret } from '../../library/continued-run.ts';
import type { ForeignConfOptions } from '../../library/settings/layout-options.ts';
import type { Host } from '../frame/host.ts';
import type { SecretOptions } from '../frame/options.ts';
import { agreeing } from '../frame/prompt.ts';
import type { Warnings } from '../frame/report.ts';
import { layoutLine } from './layout-line.ts';
import { unlockAdopted } from './secrets.ts';

/** @param about.shownCopy - where the copy is */
export function continuedSecret(
  host: Host,
  warnings: Warnings,
  about: { readonly options: SecretOptions & ForeignConfOptions; readonly shownCopy: string },
): ContinuedSecret {
  const { options, shownCopy } = about;
  return {
    options,
    byMasterkey: options.masterkey !== undefined,
    agree: agreeing(host),
    onAdmitted: (conf) => host.out.note(layoutLine(conf, shownCopy)),
    open: (conf, other) => unlockAdopted(host, { conf, other }, options, warnings),
  };
}
