/** A frozen state of the vault's folder, which the hook before a push has made and named. */
import path from 'node:path';
import { EcsyncError, HookError, type HookCode } from '../../errors.ts';
import type { FrozenSource, PushSettings } from '../../sync/push/source/push-settings.ts';
import { inside, overlap } from '../../tree/local/overlap.ts';
import { parseConfig, readConfigFile, type VaultConfig } from '../../vault/config/config.ts';
import { pathKind } from '../../vault/files/path-kind.ts';
import { vaultFiles } from '../../vault/files/vault-files.ts';
import type { VaultFrame } from '../../vault/vault.ts';
import { realPath } from '../frame/vault-paths.ts';

const NAMES_FOLDER = /^ECSYNC_SOURCE=(.+)$/;

/**
 * The folder that the hook before a push names in its last line, `ECSYNC_SOURCE=/path`.
 *
 * @param printed - the end of the hook's standard output
 */
export function namedFolder(printed: string): string | undefined {
  const last = printed.trimEnd().split(/\r?\n/).at(-1) ?? '';
  return NAMES_FOLDER.exec(last)?.[1];
}

/**
 * Settings of a push that reads the frozen state.
 *
 * @param takenMs - a time before the state was made
 * @throws {HookError} `hook-source-missing`, `hook-source-other`, `hook-source-overlaps`
 */
export function frozenSettings(
  settings: PushSettings,
  vault: Pick<VaultFrame, 'source' | 'vaultDir' | 'config'>,
  { folder, takenMs }: { readonly folder: string; readonly takenMs: number },
): PushSettings {
  if (!path.isAbsolute(folder)) {
    throw refused('hook-source-missing', folder, 'which is no absolute path');
  }
  if (pathKind(folder) !== 'folder') {
    throw refused('hook-source-missing', folder, 'which is not a folder');
  }
  const { destination } = settings;
  if (destination.kind === 'local' && overlap(folder, destination.path) !== undefined) {
    throw refused('hook-source-overlaps', folder, `which overlaps with ${destination.shown}`);
  }
  const within = inside(realPath(vault.source), realPath(vault.vaultDir));
  if (within !== undefined && !holdsStateOf(folder, within, vault.config)) {
    throw refused('hook-source-other', folder, 'but there is no state of this vault in it');
  }
  // A link that leads out of the source is left out like the vault directory itself.
  const place = within ?? inside(vault.source, vault.vaultDir);
  const vaultDir = place === undefined ? undefined : path.join(folder, place);
  const frozen: FrozenSource = { folder, takenMs, ...(vaultDir !== undefined && { vaultDir }) };
  return { ...settings, frozen };
}

/**
 * Whether the folder holds a state of the vault directory, recognised by the key check of its
 * configuration. A link does not count: any folder can link to the vault, and would then be pushed
 * as its source.
 */
function holdsStateOf(folder: string, within: string, { key_check: wanted }: VaultConfig): boolean {
  const vaultDir = path.join(folder, within);
  if (realPath(vaultDir) !== path.join(realPath(folder), within)) return false;
  const { config: file } = vaultFiles(vaultDir);
  try {
    const { key_check: found } = parseConfig(readConfigFile(file).text, file);
    return found === wanted;
  } catch (error) {
    if (error instanceof EcsyncError) return false;
    throw error;
  }
}

function refused(code: HookCode, folder: string, why: string): HookError {
  return new HookError(code, `the hook 'before' names ${folder} as the source, ${why}`, {
    hint: 'Nothing was pushed. The last line that the hook prints, ECSYNC_SOURCE=/path, names a frozen state of the whole folder of the vault, .ecsync included.',
  });
}
