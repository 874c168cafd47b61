/** The command `remote setup-server`: shows how a server can limit a key to writing one copy. */
import fs from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { UsageError } from '../../errors.ts';
import { reasonOf } from '../../system-errors.ts';
import { noRemote } from '../../vault/config/config-edit.ts';
import { type SshDestination } from '../../vault/destination/destination.ts';
import type { Host } from '../frame/host.ts';
import { addCommonOptions, type CommonOptions } from '../frame/options.ts';
import { readVaultFrameOf } from '../frame/place.ts';
import { DONE, type CommandResult } from '../frame/report.ts';
import type { Selected } from '../frame/selected.ts';
import { shownText } from '../terminal/terminal.ts';
import { destinationOfRemote } from '../../vault/destination/remote-destination.ts';

interface SetupOptions extends CommonOptions {
  readonly key?: string;
  readonly appendOnly?: boolean;
}

const AFTER_HELP = `
Prints one line for ~/.ssh/authorized_keys at the server, and changes nothing. Whoever has the key of
that line can then write into the folder of this remote and do nothing else: not read it, no shell. It
needs rrsync, which comes with rsync. With --append-only what is there can be neither changed nor
deleted: files that change later are not updated in the copy, only new ones are added. Push with
--append-only then, or say append_only = true for the remote: it names what the copy does not take.`;

/** Defines `remote setup-server [NAME]`. */
export function defineSetupServer(remote: Command, select: Selected): void {
  const command = remote
    .command('setup-server')
    .description('Show how the server can limit a key to writing this copy.')
    .argument('[remote]', 'name of a remote')
    .option('--key <file>', 'the public key, of a pair made for this alone')
    .option('--append-only', 'let it add, and neither change nor delete');
  addCommonOptions(command)
    .addHelpText('after', AFTER_HELP)
    .action((name: string | undefined) => {
      const options: SetupOptions = command.optsWithGlobals();
      select('remote setup-server', options, (host) => showSetup(host, options, name));
    });
}

/** @throws {UsageError} `no-remote`, `not-over-ssh`, `key-unreadable`, `key-invalid` */
async function showSetup(
  host: Host,
  options: SetupOptions,
  name: string | undefined,
): Promise<CommandResult> {
  const destination = sshRemote(host, options, name);
  const key = options.key === undefined ? KEY_PLACE : readPublicKey(host, options.key);
  const line = await authorizedLine(destination, key, options.appendOnly === true);
  const { out } = host;
  const { user, host: server, port } = destination;
  const address = `ssh://${user === undefined ? '' : `${user}@`}${server.includes(':') ? `[${server}]` : server}${port === undefined ? '' : `:${port}`}/./.`;
  if (out.mode.json) {
    out.event({ type: 'authorized-key', line, url: address });
    return DONE;
  }
  out.note(
    shownText(
      `At ${server}, make the folder ${destination.path}, and add to ~/.ssh/authorized_keys:`,
    ),
  );
  out.data(shownText(line));
  out.note(
    shownText(
      `For that key the folder is all there is, so that the remote needs another address: ecsync remote set-url ${destination.remote ?? 'REMOTE'} ${address}`,
    ),
  );
  return DONE;
}

const KEY_PLACE = 'ssh-ed25519 AAAA…';

/** `restrict,command="rrsync -wo FOLDER" KEY`. Inside of the quotes sshd reads `\"` as a quote. */
export async function authorizedLine(
  { path: folder }: Pick<SshDestination, 'path'>,
  key: string,
  appendOnly: boolean,
): Promise<string> {
  const { quoteWord } = await import('../../transport/quote.ts');
  const limits = appendOnly ? '-wo -no-del -no-overwrite' : '-wo';
  const command = `rrsync ${limits} ${quoteWord(folder)}`;
  return `restrict,command="${command.replace(/"/g, '\\"')}" ${key}`;
}

function sshRemote(host: Host, options: CommonOptions, name: string | undefined): SshDestination {
  const { config, source } = readVaultFrameOf(host, options);
  const { remotes } = config;
  const named = remotes.find((remote) => name === undefined || remote.name === name);
  if (named === undefined) throw noRemote(name ?? '', remotes);
  const destination = destinationOfRemote(named, { source }, host.platform);
  if (destination.kind === 'ssh') return destination;
  throw new UsageError('not-over-ssh', `${named.name} is not reached over ssh: ${named.url}`, {
    hint: 'Only an ssh server can limit a key.',
  });
}

function readPublicKey({ folder }: Host, file: string): string {
  let text: string;
  try {
    text = fs.readFileSync(path.resolve(folder, file), 'utf8');
  } catch (error) {
    throw new UsageError('key-unreadable', `cannot read ${file}: ${reasonOf(error)}`, {
      hint: 'Name a public key, such as ~/.ssh/backup.pub.',
      cause: error,
    });
  }
  const key = /^((?:ssh|ecdsa|sk)-[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,2})(?: [^\r\n]*)?\r?\n?$/.exec(
    text,
  )?.[1];
  if (key !== undefined) return key;
  // A private key must not be shown.
  throw new UsageError('key-invalid', `${file} is not a public key`, {
    hint: 'It is one line, in the file that ends in .pub.',
  });
}
