/** Starts the server's rsync for the probable first run while the source is still being listed. */
import { serverArgs, type TransferOptions } from '../../rsync/wire/options.ts';
import { isSurelyFew } from './guards/delete-limit.ts';
import type { OpenDestination } from '../reach/destination-remote.ts';
import type { PushView } from './source/push-entry.ts';
import type { PushSettings } from './source/push-settings.ts';
import { isFounded, type PushState } from './memory/push-state.ts';
import { preflightOptions } from './guards/root-files.ts';
import { contentOptions } from './job/run-options.ts';

/** The basis of the first run's options, as far as it is known while the source is being listed. */
export interface FirstRun {
  readonly settings: PushSettings;
  readonly view: PushView;
  readonly state: PushState | undefined;
  readonly opened: OpenDestination;
  readonly rsyncPath: string;
}

/**
 * Has the server start its rsync for the run that probably comes first, so that it is ready when
 * the source has been listed. If another run comes first, this one is ended unused.
 */
export function startFirstRun({ settings, view, state, opened, rsyncPath }: FirstRun): void {
  const { remote, path } = opened;
  const options = firstOptions({ settings, context: { view, destination: path } }, state);
  if (options !== undefined) remote.startAhead?.(rsyncPath, serverArgs(options, path));
}

/** @returns undefined if the first run is not predictable */
function firstOptions(
  basis: Parameters<typeof contentOptions>[0],
  state: PushState | undefined,
): TransferOptions | undefined {
  const { settings } = basis;
  if (settings.appendOnly || settings.dryRun) return undefined;
  if (!isFounded(state)) return preflightOptions(settings);
  const known = { deletedUnder: state.deletedUnder, gone: 0, filesBefore: undefined };
  const asksFirst = !state.foreignChecked || !isSurelyFew(settings, known);
  if (settings.delete && asksFirst) return undefined;
  const isLimited = (settings.maxBytes ?? Infinity) < Infinity;
  return contentOptions(basis, state, settings.delete && !isLimited);
}
