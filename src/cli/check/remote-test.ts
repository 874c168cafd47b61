/** The command `remote test`: tests what a remote allows. */
import type { Command } from 'commander';
import { ExitCode, UsageError } from '../../errors.ts';
import type { AbilityResult } from '../../sync/browse/remote-test.ts';
import { noRemote } from '../../vault/config/config-edit.ts';
import {
  looksLikeDestination,
  parseDestination,
  type Destination,
} from '../../vault/destination/destination.ts';
import type { VaultFrame } from '../../vault/vault.ts';
import { refuseGoneCopy } from './copy-gone.ts';
import type { Host } from '../frame/host.ts';
import { addCommonOptions, type CommonOptions } from '../frame/options.ts';
import { readVaultFrameOf, placeOf } from '../frame/place.ts';
import type { CommandResult, Warnings } from '../frame/report.ts';
import type { Selected } from '../frame/selected.ts';
import { shownText } from '../terminal/terminal.ts';
import { addReachOptions, type ReachOptions } from '../copies/copy-options.ts';
import { loginQuestions } from '../frame/login-questions.ts';
import { destinationOfRemote } from '../../vault/destination/remote-destination.ts';

interface RemoteTestOptions extends CommonOptions, ReachOptions {}

const AFTER_HELP = `
What can be tried without writing is tried so. Where deletion is allowed, a small file is written
to the folder for unfinished files, changed, and removed again. No password of the vault is needed. Exit
code 5: a push is not possible.`;

/** Defines `remote test [NAME]`. */
export function defineRemoteTest(remote: Command, select: Selected): void {
  const command = remote
    .command('test')
    .description('Find out what a destination allows: push, delta, delete, pull, SFTP.')
    .argument('[remote]', 'name of a remote, or a destination');
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
  const { destination, vault } = destinationOf(host, options, name);
  if (vault !== undefined) await refuseGoneCopy(host, vault, destination);
  const { ReachedCopy } = await import('../../sync/browse/open-remote-tree.ts');
  const { reachSettings } = await import('../copies/reach-settings.ts');
  const surroundings = {
    signal: host.signal,
    questions: loginQuestions(host, {
      passwordFile: options.passwordFile,
      vault,
      destination,
      warnings,
    }),
    note: (code: string, message: string) => warnings.add({ code, message }),
  };
  const settings = reachSettings(host, { destination, ...(vault && { vault }) }, options);
  const results = await ReachedCopy.with(settings, surroundings, (reached) => reached.test());
  for (const result of results) show(host, result);
  const allowed = results.filter((result) => result.allowed === true);
  const figures = {
    allowed: allowed.map(({ ability }) => ability),
    destination: destination.shown,
  };
  const push = results.find(({ ability }) => ability === 'push');
  if (push?.allowed !== false) return { exitCode: ExitCode.ok, figures };
  const message = `${destination.shown}: a push is not possible: ${push.why}`;
  return { exitCode: ExitCode.remoteRefused, figures, error: { code: 'push-impossible', message } };
}

/** A destination, and the vault that has it among its remotes, if any. */
interface Named {
  readonly destination: Destination;
  readonly vault?: VaultFrame;
}

/** @throws {UsageError} `no-remote`, `remote-unknown`, `destination-invalid`; as `readVaultFrameOf` */
function destinationOf(host: Host, options: CommonOptions, name: string | undefined): Named {
  const { platform } = host;
  if (name !== undefined && looksLikeDestination(name)) {
    const { folder } = placeOf(host, options);
    return { destination: parseDestination(name, { platform, folder }) };
  }
  const vault = readVaultFrameOf(host, options);
  const { config } = vault;
  const named = config.remotes.find((remote) => name === undefined || remote.name === name);
  if (named !== undefined) {
    return { destination: destinationOfRemote(named, vault, platform), vault };
  }
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
