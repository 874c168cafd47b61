import type { Command } from 'commander';
import { UsageError } from '../../errors.ts';
import type { AbilityResult } from '../../sync/remote-test.ts';
import { noRemote } from '../../vault/config-edit.ts';
import {
  looksLikeDestination,
  parseDestination,
  type Destination,
} from '../../vault/destination.ts';
import type { Host } from '../host.ts';
import { addCommonOptions, type CommonOptions } from '../options.ts';
import { openVaultFrameOf, placeOf } from '../place.ts';
import type { CommandResult, Warnings } from '../report.ts';
import type { Selected } from '../selected.ts';
import { shownText } from '../terminal.ts';
import { addReachOptions, type ReachOptions } from './copy-options.ts';
import { questionsFor } from './push.ts';

interface RemoteTestOptions extends CommonOptions, ReachOptions {}

const AFTER_HELP = `
What can be tried without writing is tried so. Where deletion is allowed, a small file is written
to the folder for unfinished files, changed, and removed again. No password is needed.`;

/** Defines `remote test [NAME]`. */
export function defineRemoteTest(remote: Command, select: Selected): void {
  const command = remote
    .command('test')
    .description('Find out what a destination allows: push, delta, delete, pull, SFTP.')
    .argument('[name]', 'name of a remote, or a destination');
  addReachOptions(command);
  addCommonOptions(command)
    .addHelpText('after', AFTER_HELP)
    .action((name: string | undefined) => {
      const options: RemoteTestOptions = command.optsWithGlobals();
      select('remote test', options, (host, warnings) =>
        runRemoteTest(host, warnings, { options, name }),
      );
    });
}

async function runRemoteTest(
  host: Host,
  warnings: Warnings,
  { options, name }: { readonly options: RemoteTestOptions; readonly name: string | undefined },
): Promise<CommandResult> {
  const destination = destinationOf(host, options, name);
  const { ReachedCopy } = await import('../../sync/open-remote-tree.ts');
  const { reachSettings } = await import('../opened-copy.ts');
  const surroundings = {
    signal: host.signal,
    questions: questionsFor(host),
    note: (code: string, message: string) => warnings.add({ code, message }),
  };
  const settings = reachSettings({ destination }, options);
  const results = await ReachedCopy.with(settings, surroundings, (reached) => reached.test());
  for (const result of results) show(host, result);
  const allowed = results.filter((result) => result.allowed === true);
  return {
    exitCode: 0,
    figures: { allowed: allowed.map(({ ability }) => ability), destination: destination.shown },
  };
}

/** @throws {UsageError} `no-remote`, `remote-unknown`, `destination-invalid`; as `openVaultFrameOf` */
function destinationOf(host: Host, options: CommonOptions, name: string | undefined): Destination {
  const { platform } = host;
  if (name !== undefined && looksLikeDestination(name)) {
    return parseDestination(name, { platform, folder: placeOf(host, options).folder });
  }
  const { config, source } = openVaultFrameOf(host, options);
  const named = config.remotes.find((remote) => name === undefined || remote.name === name);
  if (named !== undefined) return parseDestination(named.url, { platform, folder: source });
  if (name !== undefined) throw noRemote(name, config.remotes);
  throw new UsageError('no-remote', 'this vault has no remote yet', {
    hint: 'Add one: ecsync remote add NAME user@host:path',
  });
}

function show({ out }: Host, { ability, allowed, why }: AbilityResult): void {
  const word = allowed === undefined ? '?' : allowed ? 'yes' : 'no';
  if (out.mode.json) {
    out.event({ type: 'ability', ability, allowed: allowed ?? null, why });
  } else {
    out.data(`${ability.padEnd(7)} ${word.padEnd(4)} ${shownText(why)}`);
  }
}
