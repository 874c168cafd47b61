/** Refuses a first push into a folder that lies inside another copy. */
import path from 'node:path';
import { EcsyncError, InterruptedError, VaultError } from '../../../errors.ts';
import { pathKey } from '../../../bytes/paths.ts';
import { isOwnServer, type PushJob } from '../job/push-job.ts';
import { isFileIn } from '../../../tree/local/glance.ts';
import { vaultFiles } from '../../../vault/files/vault-files.ts';
import { hasRootFile, isRootFileName } from '../../copy/root-file-names.ts';
import { folderThere, placeThere } from './root-files.ts';

/**
 * Refuses a new copy inside another one, or inside a mirror: stock gocryptfs would call it damage, and a
 * push of the outer one with `--delete` could remove it. On this machine all folders above are looked
 * at, at a server the one right above, if the login may list it.
 *
 * @throws {VaultError} `destination-nested`
 */
export async function refuseNested(job: PushJob): Promise<void> {
  const { destination, intoNonEmpty } = job.settings;
  if (intoNonEmpty) return;
  const outer = isOwnServer(job) ? copyAround(destination.path) : await copyAboveThere(job);
  if (outer === undefined) return;
  throw new VaultError(
    'destination-nested',
    `${destination.shown} lies inside another copy: ${outer} has its files`,
    {
      hint: 'Choose a folder outside of it. To push there all the same: --into-non-empty',
      facts: { path: outer },
    },
  );
}

/** A vault directory has a conf, too, and is no copy. */
const CONFIG_NAME = path.basename(vaultFiles('').config);

/** The nearest folder above that has a file by which a copy is identified. */
function copyAround(folder: string): string | undefined {
  for (let at = path.resolve(folder); ; at = path.dirname(at)) {
    const above = path.dirname(at);
    if (above === at) return undefined;
    if (hasRootFile(above) && !isFileIn(above, Buffer.from(CONFIG_NAME))) return above;
  }
}

async function copyAboveThere(job: PushJob): Promise<string | undefined> {
  const parent = placeThere(job.context.destination)?.parent;
  if (parent === undefined) return undefined;
  try {
    const siblings = await folderThere(job, parent).children();
    const names = siblings.map(({ path }) => pathKey(path));
    return names.some(isRootFileName) && !names.includes(CONFIG_NAME) ? parent : undefined;
  } catch (error) {
    // A login that may not list it is none that could have put a copy there.
    if (error instanceof EcsyncError && !(error instanceof InterruptedError)) return undefined;
    throw error;
  }
}
