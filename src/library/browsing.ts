/** Opens a copy as a plaintext tree, to browse. */
import { UsageError } from '../errors.ts';
import type { RemoteTraffic } from '../sync/copy/remote-tree-run.ts';
import { assertKeyFits } from '../sync/restore/key-fits.ts';
import type { Entry } from '../tree/entry.ts';
import { showPath } from '../tree/file-failure.ts';
import { DecryptedView } from '../view/decrypt/decrypted-view.ts';
import type { CopyProblem } from '../view/decrypt/decrypted-view-problem.ts';
import { IdentityCheck } from '../view/decrypt/identity-check.ts';
import { holeRuleFor } from '../view/hole-rule.ts';
import type { PlainEntry } from '../view/plain-entry.ts';
import type { Caller } from './caller.ts';
import { HeldProblems, withOpenedCopy, type CopyAccess } from './opened-copy.ts';

/** Receives problems with single objects. Browsing continues with the next object. */
export interface BrowseListener {
  /** @throws anything that concerns more than one object */
  readonly onError: (error: unknown) => void;
  /** An object of the copy that cannot be listed. */
  readonly onProblem: (problem: CopyProblem) => void;
}

/**
 * Opens a copy and calls `use` with it. At the end misplaced links are reported.
 *
 * @param how.reach - how much of it will be read
 * @returns stream bytes
 * @throws as `withOpenedCopy`, `assertKeyFits`; what the listener and `use` throw
 */
export async function browseCopy(
  caller: Caller,
  access: CopyAccess,
  how: BrowseListener & { readonly reach: 'little' | 'all' },
  use: (view: DecryptedView) => Promise<void>,
): Promise<Readonly<RemoteTraffic>> {
  const { reach, onError, onProblem } = how;
  const held = new HeldProblems();
  const plan = { reach, onProblem: held.onProblem };
  return withOpenedCopy(caller, access, plan, async ({ copy, layout, known, isUnproven }) => {
    held.tell((_path, error) => onError(error));
    if (isUnproven) await assertKeyFits(copy.tree, layout);
    const isOnlyEcsync = known?.isOnlyEcsync === true;
    const identities = new IdentityCheck(layout, { known: known?.identities });
    const view = new DecryptedView<Entry>(copy.tree, layout, {
      onProblem,
      holes: holeRuleFor({ isOnlyEcsync, isOwnFile: false }),
      identities,
      expectedDirIV: (at) => identities.expectedDirIV(at),
    });
    await use(view);
    for (const { severity, error } of await identities.judgeLinks()) {
      if (severity === 'damage') onError(error);
    }
    const { bytesSent, bytesReceived } = copy.traffic();
    return { bytesSent, bytesReceived };
  });
}

/**
 * Finds the object at a path of a copy.
 *
 * @throws {UsageError} `path-missing`; as `DecryptedView.find`
 */
export async function findInside(view: DecryptedView, inside: Uint8Array): Promise<PlainEntry> {
  const entry = await view.find(inside);
  if (entry !== undefined) return entry;
  const shown = showPath(inside);
  throw new UsageError('path-missing', `${shown} is not in the copy`, {
    hint: 'Paths start at the current folder inside the vault; /PATH starts at its top. See what is there: ecsync ls /',
    facts: { path: shown },
  });
}
