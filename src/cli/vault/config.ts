/** The command `config`: checks and shows the effective configuration. */
import type { Command } from 'commander';
import { VaultError } from '../../errors.ts';
import { parseConfig, readConfigText, type VaultConfig } from '../../vault/config/config.ts';
import { noRemote } from '../../vault/config/config-edit.ts';
import { pathKind } from '../../vault/files/path-kind.ts';
import { readUserConfig, userConfigFile } from '../../vault/user/user-config.ts';
import { vaultFiles } from '../../vault/files/vault-files.ts';
import { findVaultDir } from '../../vault/vault.ts';
import type { Host } from '../frame/host.ts';
import { addCommonOptions, type CommonOptions } from '../frame/options.ts';
import { ofVaultIfAny, placeOf } from '../frame/place.ts';
import {
  configuredRules,
  effectiveValues,
  pushLayers,
  type PushLayer,
} from '../../library/settings/push-config.ts';
import { FILTER_KEYS } from '../../library/settings/filter-entries.ts';
import { DONE, type CommandResult } from '../frame/report.ts';
import type { Selected } from '../frame/selected.ts';
import { shownText } from '../terminal/terminal.ts';
import { destinationOfRemote } from '../../vault/destination/remote-destination.ts';

const AFTER_SHOW = `
What counts for a push to REMOTE (the first one, if none is named), and where it is said. What counts
first: the command line, ECSYNC_ variables (ECSYNC_MAX_DELETE=100; lists have one entry a line), the
remote's own [remotes.push], the vault's [push], the machine's [push]. Of rules all count, in this order.`;

/** Defines `config check|show|path`. */
export function defineConfig(program: Command, select: Selected): void {
  const config = program
    .command('config')
    .summary('check and show the configuration')
    .description('Check and show the configuration: of this vault, of this machine, and variables.')
    .helpCommand(false);

  const check = config.command('check').description('Read everything, and say what is wrong.');
  addCommonOptions(check).action(() => {
    const options: CommonOptions = check.optsWithGlobals();
    select('config check', options, (host) => checkConfig(host, options));
  });

  const show = config
    .command('show')
    .description('Show what a push is told, and where that comes from.')
    .argument('[remote]', 'name of a remote');
  addCommonOptions(show)
    .addHelpText('after', AFTER_SHOW)
    .action((remote: string | undefined) => {
      const options: CommonOptions = show.optsWithGlobals();
      select('config show', options, (host) => showConfig(host, options, remote));
    });

  const where = config.command('path').description('Show which files are read, one a line.');
  addCommonOptions(where).action(() => {
    const options: CommonOptions = where.optsWithGlobals();
    select('config path', options, (host) => showPaths(host, options));
  });
}

interface Found {
  readonly vaultDir: string;
  readonly config: VaultConfig;
}

/** Reads the vault's configuration, but not its keys. */
function readVault(host: Host, options: CommonOptions): Found {
  const vaultDir = findVaultDir(placeOf(host, options));
  const file = vaultFiles(vaultDir).config;
  return { vaultDir, config: parseConfig(readConfigText(file), file) };
}

/** The machine's configuration can be shown without a vault. */
function readVaultIfAny(host: Host, options: CommonOptions): Found | undefined {
  return ofVaultIfAny(host, options, () => readVault(host, options));
}

async function checkConfig(host: Host, options: CommonOptions): Promise<CommandResult> {
  const { FilterRules } = await import('../../tree/filter/filter-syntax.ts');
  const found = readVaultIfAny(host, options);
  const userFile = userConfigFile(host.environment, host.platform);
  readUserConfig(userFile);
  const vault = found ?? { vaultDir: host.folder, config: NO_VAULT };
  for (const remote of vault.config.remotes) {
    destinationOfRemote(remote, { source: vault.vaultDir }, host.platform);
  }
  const names = [undefined, ...vault.config.remotes.map(({ name }) => name)];
  for (const name of names) {
    const layers = pushLayers(host, vault, name);
    effectiveValues(layers);
    for (const words of configuredRules(layers)) {
      const rules = new FilterRules();
      for (const { kind, text } of words) rules[kind](text);
    }
  }
  host.out.note(found === undefined ? 'No vault here; the rest is right.' : 'Everything is right.');
  return DONE;
}

const NO_VAULT: VaultConfig = { version: 1, conf_sha256: '', remotes: [] };

function showConfig(host: Host, options: CommonOptions, remote: string | undefined): CommandResult {
  const vault = readVault(host, options);
  const { remotes } = vault.config;
  const named = remotes.find(({ name }, index) =>
    remote === undefined ? index === 0 : name === remote,
  );
  if (remote !== undefined && named === undefined) throw noRemote(remote, remotes);
  const layers = pushLayers(host, vault, named?.name);
  if (named !== undefined) showRemote(host, vaultFiles(vault.vaultDir).config, named);
  for (const { key, shown, shownFrom } of effectiveValues(layers)) {
    showLine(host, { key: `push.${key}`, value: shown, shownFrom });
  }
  for (const { shownFrom, values } of layers) showRules(host, shownFrom, values);
  const user = readUserConfig(userConfigFile(host.environment, host.platform));
  const fileOf = (isOwn: boolean): string =>
    isOwn ? vaultFiles(vault.vaultDir).config : userConfigFile(host.environment, host.platform);
  for (const key of ['constant_time', 'log_file'] as const) {
    const value = vault.config[key] ?? user[key];
    if (value === undefined) continue;
    showLine(host, { key, value, shownFrom: fileOf(vault.config[key] !== undefined) });
  }
  for (const table of ['hooks', 'notify', 'status'] as const) {
    const own = { ...user[table], ...vault.config[table] };
    for (const [key, value] of Object.entries(own)) {
      if (value === undefined) continue;
      const isOwn = Object.entries(vault.config[table] ?? {}).some(([one]) => one === key);
      showLine(host, { key: `${table}.${key}`, value, shownFrom: fileOf(isOwn) });
    }
  }
  return DONE;
}

/** Shows the settings of a remote outside of its `[remotes.push]`. */
function showRemote(host: Host, file: string, remote: VaultConfig['remotes'][number]): void {
  const { name } = remote;
  const shownFrom = `${file}, [[remotes]]${remote.encrypt === false ? ': a plain mirror' : ''}`;
  for (const key of ['url', 'encrypt', 'daemon_password_file'] as const) {
    const value = remote[key];
    if (value !== undefined) showLine(host, { key: `remotes.${name}.${key}`, value, shownFrom });
  }
}

function showRules(host: Host, shownFrom: string, values: PushLayer['values']): void {
  for (const key of FILTER_KEYS) {
    const value = values[key];
    if (value !== undefined) showLine(host, { key: `push.${key}`, value, shownFrom });
  }
}

function showLine(
  { out }: Host,
  line: { readonly key: string; readonly value: unknown; readonly shownFrom: string },
): void {
  const { key, value, shownFrom } = line;
  if (out.mode.json) out.event({ type: 'setting', key, value, from: shownFrom });
  else out.data(shownText(`${key} = ${JSON.stringify(value)}  # ${shownFrom}`));
}

function showPaths(host: Host, options: CommonOptions): CommandResult {
  const found = readVaultDirIfAny(host, options);
  const files = [
    ...(found === undefined ? [] : [vaultFiles(found).config]),
    userConfigFile(host.environment, host.platform),
  ];
  for (const file of files) {
    const exists = pathKind(file) === 'file';
    if (host.out.mode.json) host.out.event({ type: 'config-file', path: file, exists });
    else host.out.data(`${shownText(file)}${exists ? '' : '  (absent)'}`);
  }
  return DONE;
}

function readVaultDirIfAny(host: Host, options: CommonOptions): string | undefined {
  try {
    return findVaultDir(placeOf(host, options));
  } catch (error) {
    if (error instanceof VaultError && error.code === 'no-vault') return undefined;
    throw error;
  }
}
