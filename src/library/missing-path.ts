/** Adds a hint to the error for a missing path that names a remote and a path in one word. */
import { UsageError } from '../errors.ts';
import type { RemoteConfig } from '../vault/config/config.ts';
import { asRemoteAndPath } from '../vault/destination/remote-destination.ts';

/** The error for a missing path, with a hint if `NAME:PATH` was typed. */
export function withRemoteHint(error: unknown, remotes: readonly RemoteConfig[]): unknown {
  if (!(error instanceof UsageError) || error.code !== 'path-missing') return error;
  const { message, facts } = error;
  const meant = asRemoteAndPath(String(facts['path']), remotes);
  if (meant === undefined) return error;
  const hint = `To name the remote, too: ${meant.path} --from ${meant.remote}`;
  return new UsageError(error.code, message, { hint, facts, cause: error });
}
