/** The command `remote` and its subcommands that list and edit the remotes of a vault. */
import type { Command } from 'commander';
import { UsageError } from '../../errors.ts';
import { assertRemoteName } from '../../vault/config/config.ts';
import { addRemote, removeRemote } from '../../vault/config/config-edit.ts';
import { parseDestination, type Destination } from '../../vault/destination/destination.ts';
import { remotesAt } from '../../vault/destination/remote-destination.ts';
import { editConfig } from '../frame/edit-config.ts';
import type { Host } from '../frame/host.ts';
import { addCommonOptions, type CommonOptions } from '../frame/options.ts';
import { readVaultFrameOf, placeOf } from '../frame/place.ts';
import { DONE, type CommandResult } from '../frame/report.ts';
import type { Selected } from '../frame/selected.ts';
import { shownText } from '../terminal/terminal.ts';
import { defineRemoteTest } from '../check/remote-test.ts';
import { defineSetupServer } from './setup-server.ts';

interface AddOptions extends CommonOptions {
  readonly encrypt: boolean;
}

/** Defines `remote add|list|remove`. */
export function defineRemote(program: Command, select: Selected): void {
  const remote = program
    .command('remote')
    .summary('add, list, test and remove destinations')
    .description('Add, list, test and remove destinations. The first one is the default of `push`.')
    .helpCommand(false);

  const add = remote
    .command('add')
    .description(
      'Remember a destination: user@host:path, ssh://user@host:port/path, rsync://user@host/module/path, or a local folder (./folder, /folder).',
    )
    .argument('<name>', 'letters, digits, dots, dashes and underscores')
    .argument('<url>', 'the destination')
    .option(
      '--no-encrypt',
      'whoever has access there may read everything: send the files as they are',
    );
  addCommonOptions(add).action((name: string, url: string) => {
    const options: AddOptions = add.optsWithGlobals();
    select('remote add', options, (host) => addTo(host, options, name, url));
  });

  const list = remote.command('list').description('List the destinations, the default first.');
  addCommonOptions(list).action(() => {
    const options: CommonOptions = list.optsWithGlobals();
    select('remote list', options, (host) => listRemotes(host, options));
  });

  defineRemoteTest(remote, select);
  defineSetupServer(remote, select);

  const remove = remote
    .command('remove')
    .alias('rm')
    .description('Forget a destination. What is stored there stays.')
    .argument('<remote>', 'its name');
  addCommonOptions(remove).action((name: string) => {
    const options: CommonOptions = remove.optsWithGlobals();
    select('remote remove', options, (host) =>
      editConfig(host, options, (text, file) => removeRemote(text, file, name)),
    );
  });
}

function addTo(host: Host, options: AddOptions, name: string, url: string): CommandResult {
  assertRemoteName(name);
  const { folder } = placeOf(host, options);
  const destination = parseDestination(url, { platform: host.platform, folder });
  refuseOtherForm(host, options, destination);
  // The canonical text: a local folder is stored absolute, whatever folder is current later.
  return editConfig(host, options, (text, file) =>
    addRemote(text, file, {
      name,
      url: destination.shown,
      ...(!options.encrypt && { encrypt: false }),
    }),
  );
}

/**
 * One folder cannot be an encrypted copy and a plain mirror.
 *
 * @throws {UsageError} `remote-other-form`
 */
function refuseOtherForm(host: Host, options: AddOptions, { shown }: Destination): void {
  const others = remotesAt(readVaultFrameOf(host, options), shown, host.platform);
  const other = others.find(({ encrypt = true }) => encrypt !== options.encrypt);
  if (other === undefined) return;
  const form = options.encrypt ? 'a plain mirror' : 'an encrypted copy';
  throw new UsageError('remote-other-form', `${shown} is ${form} already, as '${other.name}'`, {
    hint: 'One folder cannot be both an encrypted copy and a plain mirror: take another folder.',
  });
}

function listRemotes(host: Host, options: CommonOptions): CommandResult {
  const { config } = readVaultFrameOf(host, options);
  for (const { name, url, encrypt = true } of config.remotes) {
    if (host.out.mode.json) host.out.event({ type: 'remote', name, url, encrypt });
    else host.out.data(`${name}\t${shownText(url)}${encrypt ? '' : '\tNOT ENCRYPTED'}`);
  }
  return DONE;
}
