import type { Command } from 'commander';
import type { Host } from '../host.ts';
import {
  addCommonOptions,
  addSecretOptions,
  type CommonOptions,
  type SecretOptions,
} from '../options.ts';
import { openVaultOf } from '../place.ts';
import { recoverySheet, shownMasterkey } from '../recovery-sheet.ts';
import { DONE, type CommandResult, type Warnings } from '../report.ts';
import { unlockVault } from '../secrets.ts';
import type { Selected } from '../selected.ts';
import { shownText } from '../terminal.ts';
import { shownBytes } from '../figures.ts';

type KeyOptions = CommonOptions & SecretOptions;

/** Defines `key info|paper|masterkey`. */
export function defineKey(program: Command, select: Selected): void {
  const key = program
    .command('key')
    .summary('conf details, recovery sheet, master key')
    .description('Look at the keys of a vault.')
    .helpCommand(false);

  const info = key
    .command('info')
    .description('Show what gocryptfs.conf says: layout, flags, cost. Needs no password.');
  addCommonOptions(info).action(() => {
    const options: CommonOptions = info.optsWithGlobals();
    select('key info', options, (host) => showInfo(host, options));
  });

  const paper = key
    .command('paper')
    .description('Print the recovery sheet: master key and the commands that open a copy.');
  addSecretOptions(paper, { masterkey: true });
  addCommonOptions(paper).action(() => {
    const options: KeyOptions = paper.optsWithGlobals();
    select('key paper', options, (host, warnings) => printSheet(host, warnings, options));
  });

  const masterkey = key
    .command('masterkey')
    .description('Print the master key on one line, as `gocryptfs -masterkey=stdin` reads it.');
  addSecretOptions(masterkey, { masterkey: true });
  addCommonOptions(masterkey).action(() => {
    const options: KeyOptions = masterkey.optsWithGlobals();
    select('key masterkey', options, (host, warnings) => printKey(host, warnings, options));
  });
}

async function showInfo(host: Host, options: CommonOptions): Promise<CommandResult> {
  const { parseConf } = await import('../../gocryptfs/config.ts');
  const { cipherOf } = await import('../../gocryptfs/layout.ts');
  const vault = openVaultOf(host, options);
  const conf = parseConf(vault.confBytes);
  const { logN, r, p } = conf.scrypt;
  const cipher = cipherOf(conf.flags);
  const flags = [...conf.flags];
  if (host.out.mode.json) {
    const { source, vaultDir, config } = vault;
    const scrypt = { logN, r, p };
    const { creator, longNameMax } = conf;
    const confSha256 = config.conf_sha256;
    const facts = { source, vaultDir, cipher, flags, scrypt, longNameMax, creator, confSha256 };
    host.out.event({ type: 'key', ...facts });
    return DONE;
  }
  const cost = `N = 2^${logN}, r = ${r}, p = ${p}; ${shownBytes(128 * 2 ** logN * r)} a try`;
  const lines = [
    ['folder', vault.source],
    ['vault', vault.vaultDir],
    ['cipher', cipher],
    ['flags', flags.join(' ')],
    ['scrypt', cost],
    ['long names', `over ${conf.longNameMax} bytes are hashed`],
    ['made by', conf.creator],
    ['sha-256', vault.config.conf_sha256],
  ] as const;
  for (const [name, value] of lines) host.out.data(`${name.padEnd(11)} ${shownText(value)}`);
  return DONE;
}

async function printSheet(
  host: Host,
  warnings: Warnings,
  options: KeyOptions,
): Promise<CommandResult> {
  const vault = openVaultOf(host, options);
  const { conf, masterkey } = await unlockVault(host, vault, options, warnings);
  try {
    const remotes = vault.config.remotes.map(({ url }) => url);
    const facts = { source: vault.source, remotes, conf, masterkey, date: new Date() };
    const lines = recoverySheet(facts);
    if (host.out.mode.json) host.out.event({ type: 'sheet', text: lines.join('\n') });
    else for (const line of lines) host.out.data(line);
    return DONE;
  } finally {
    masterkey.fill(0);
  }
}

async function printKey(
  host: Host,
  warnings: Warnings,
  options: KeyOptions,
): Promise<CommandResult> {
  const vault = openVaultOf(host, options);
  const { masterkey } = await unlockVault(host, vault, options, warnings);
  try {
    const text = shownMasterkey(masterkey);
    if (host.out.mode.json) host.out.event({ type: 'masterkey', masterkey: text });
    else host.out.data(text);
    return DONE;
  } finally {
    masterkey.fill(0);
  }
}
