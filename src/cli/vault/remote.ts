/** The command `remote` and its subcommands that list and edit the remotes of a vault. */
import type { Command } from 'commander';
import { assertRemoteName, type RemoteConfig } from '../../vault/config/config.ts';
import { addRemote, noRemote, removeRemote, setRemoteUrl } from '../../vault/config/config-edit.ts';
import { parseDestination, type Destination } from '../../vault/destination/destination.ts';
import { shownDestinationOf } from '../../vault/destination/remote-destination.ts';
import { editConfig } from '../frame/edit-config.ts';
import type { Host } from '../frame/host.ts';
import { addCommonOptions, type CommonOptions } from '../frame/options.ts';
import { readVaultFrameOf, placeOf } from '../frame/place.ts';
import { DONE, type CommandResult, type Warnings } from '../frame/report.ts';
import type { Selected } from '../frame/selected.ts';
import { shownText } from '../terminal/terminal.ts';
import { defineRemoteTest } from '../check/remote-test.ts';
import { judgeAddress, reportMove } from './remote-address.ts';
import { defineSetupServer } from './setup-server.ts';

interface AddOptions extends CommonOptions {
  readonly encrypt: boolean;
}

/** Defines `remote` and its subcommands. */
export function defineRemote(program: Command, select: Selected): void {
  const remote = program
    .command('remote')
    .summary('add, list, change, test and remove destinations')
    .description(
      'Add, list, change, test and remove destinations. The first one is the default of `push`.',
    )
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
    select('remote add', options, (host, warnings) =>
      addTo(host, warnings, options, { name, url }),
    );
  });

  const setUrl = remote
    .command('set-url')
    .summary('change the address of a destination')
    .description(
      'Change the address of a destination. Its other settings stay, and so does what is stored at the old address; nothing that earlier pushes remember of that counts at the new one.',
    )
    .argument('<remote>', 'its name')
    .argument('<url>', 'the new address, as for `remote add`');
  addCommonOptions(setUrl).action((name: string, url: string) => {
    const options: CommonOptions = setUrl.optsWithGlobals();
    select('remote set-url', options, (host, warnings) =>
      moveTo(host, warnings, options, { name, url }),
    );
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

async function addTo(
  host: Host,
  warnings: Warnings,
  options: AddOptions,
  { name, url }: Pick<RemoteConfig, 'name' | 'url'>,
): Promise<CommandResult> {
  assertRemoteName(name);
  const destination = destinationAt(host, options, url);
  const vault = readVaultFrameOf(host, options);
  const isEncrypted = options.encrypt;
  await judgeAddress(host, warnings, { vault, name, destination, isEncrypted });
  return editConfig(host, options, (text, file) =>
    addRemote(text, file, {
      name,
      url: destination.shown,
      ...(!isEncrypted && { encrypt: false }),
    }),
  );
}

/**
 * Makes the path of a local folder absolute, as in {@link Destination.shown}, so that it does not
 * depend on the current folder.
 */
function destinationAt(host: Host, options: CommonOptions, url: string): Destination {
  const { folder } = placeOf(host, options);
  return parseDestination(url, { platform: host.platform, folder });
}

/** @throws {UsageError} `no-remote`, and as `remote add` */
async function moveTo(
  host: Host,
  warnings: Warnings,
  options: CommonOptions,
  { name, url }: Pick<RemoteConfig, 'name' | 'url'>,
): Promise<CommandResult> {
  const destination = destinationAt(host, options, url);
  const vault = readVaultFrameOf(host, options);
  const { remotes } = vault.config;
  const remote = remotes.find((one) => one.name === name);
  if (remote === undefined) throw noRemote(name, remotes);
  const before = shownDestinationOf(remote, vault, host.platform);
  if (before === destination.shown) {
    host.out.note(shownText(`${name} is ${before} already.`));
    return DONE;
  }
  const address = { vault, name, destination, isEncrypted: remote.encrypt ?? true };
  await judgeAddress(host, warnings, address);
  const result = editConfig(host, options, (text, file) =>
    setRemoteUrl(text, file, { name, url: destination.shown }),
  );
  const old = typeof before === 'string' ? before : remote.url;
  await reportMove(host, warnings, address, { shown: old });
  return result;
}

function listRemotes(host: Host, options: CommonOptions): CommandResult {
  const { config } = readVaultFrameOf(host, options);
  for (const { name, url, encrypt = true } of config.remotes) {
    if (host.out.mode.json) host.out.event({ type: 'remote', name, url, encrypt });
    else host.out.data(`${name}\t${shownText(url)}${encrypt ? '' : '\tNOT ENCRYPTED'}`);
  }
  return DONE;
}
