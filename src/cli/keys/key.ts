/** The command `key` and its subcommands. */
import type { Command } from 'commander';
import type { Host } from '../frame/host.ts';
import {
  addCommonOptions,
  addSecretOptions,
  type CommonOptions,
  type SecretOptions,
} from '../frame/options.ts';
import { readVaultFrameOf } from '../frame/place.ts';
import { namesText } from '../secrets/layout-line.ts';
import { recoverySheet, shownMasterkey } from './recovery-sheet.ts';
import { DONE, type CommandResult, type Warnings } from '../frame/report.ts';
import { unlockByOptions } from '../secrets/secrets.ts';
import type { Selected } from '../frame/selected.ts';
import { shownText } from '../terminal/terminal.ts';
import { shownBytes } from '../../library/figures.ts';
import type { Conf } from '../../gocryptfs/conf/config.ts';
import { hasConf, type VaultFrame } from '../../vault/vault.ts';
import { defineKeyCheck } from './key-check.ts';
import { defineKeyFetch } from './key-fetch.ts';
import { defineKeyPasswd } from './key-passwd.ts';
import { defineKeyRemember } from './key-remember.ts';

type KeyOptions = CommonOptions & SecretOptions;

/** Defines `key info|passwd|fetch|paper|check|remember|forget|masterkey`. */
export function defineKey(program: Command, select: Selected): void {
  const key = program
    .command('key')
    .summary('password, recovery sheet, master key')
    .description('Look after the keys of a vault.')
    .helpCommand(false);

  const info = key
    .command('info')
    .description('Show what gocryptfs.conf says: layout, flags, cost. Needs no password.');
  addCommonOptions(info).action(() => {
    const options: CommonOptions = info.optsWithGlobals();
    select('key info', options, (host) => showInfo(host, options));
  });

  defineKeyPasswd(key, select);
  defineKeyFetch(key, select);

  const paper = key
    .command('paper')
    .description('Print the recovery sheet: master key and the commands that open a copy.');
  addSecretOptions(paper, { masterkey: true });
  addCommonOptions(paper).action(() => {
    const options: KeyOptions = paper.optsWithGlobals();
    select('key paper', options, (host, warnings) => printSheet(host, warnings, options));
  });

  defineKeyCheck(key, select);
  defineKeyRemember(key, select);

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
  const [{ confOf }, { cipherOf }] = await Promise.all([
    import('../../vault/vault-conf.ts'),
    import('../../gocryptfs/layout.ts'),
  ]);
  const vault = readVaultFrameOf(host, options);
  const conf = confOf(vault);
  const cipher = cipherOf(conf.flags);
  const { out } = host;
  if (out.mode.json) out.event({ type: 'key', ...infoEvent(vault, conf), cipher });
  else {
    const derived = vault.derivation === 'reverse' ? ', as gocryptfs -reverse derives it' : '';
    const lines = [
      ['folder', vault.source],
      ['vault', vault.vaultDir],
      ['conf', hasConf(vault) ? vault.confFile : `${vault.confFile} is missing`],
      ['cipher', `${cipher}${derived}`],
      ['names', namesText(conf)],
      ['flags', [...conf.flags].join(' ')],
      ...(hasConf(vault) ? ([['scrypt', costOf(conf)]] as const) : []),
      ...(hasConf(vault) ? ([['made by', conf.creator]] as const) : []),
      ['sha-256', vault.config.conf_sha256],
    ] as const;
    for (const [name, value] of lines) out.data(`${name.padEnd(11)} ${shownText(value)}`);
  }
  if (!hasConf(vault)) {
    out.note('hint: Make the conf anew with the recovery key: ecsync key passwd --masterkey=stdin');
  }
  return DONE;
}

function infoEvent(vault: VaultFrame, conf: Conf): Readonly<Record<string, unknown>> {
  const { source, vaultDir, confFile, derivation, virtualTimes } = vault;
  const { logN, r, p } = conf.scrypt;
  return {
    source,
    vaultDir,
    confFile,
    confMissing: !hasConf(vault),
    derivation,
    ...(virtualTimes === 'fixed' ? {} : { reverseTimeShiftSec: virtualTimes.shiftSec }),
    flags: [...conf.flags],
    longNameMax: conf.longNameMax,
    ...(hasConf(vault) ? { scrypt: { logN, r, p }, creator: conf.creator } : {}),
    confSha256: vault.config.conf_sha256,
  };
}

function costOf({ scrypt: { logN, r, p } }: Conf): string {
  return `N = 2^${logN}, r = ${r}, p = ${p}; ${shownBytes(128 * 2 ** logN * r)} a try`;
}

async function printSheet(
  host: Host,
  warnings: Warnings,
  options: KeyOptions,
): Promise<CommandResult> {
  const vault = readVaultFrameOf(host, options);
  const { conf, masterkey } = await unlockByOptions(host, vault, options, warnings);
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
  const vault = readVaultFrameOf(host, options);
  const { masterkey } = await unlockByOptions(host, vault, options, warnings);
  try {
    const text = shownMasterkey(masterkey);
    if (host.out.mode.json) host.out.event({ type: 'masterkey', masterkey: text });
    else host.out.data(text);
    return DONE;
  } finally {
    masterkey.fill(0);
  }
}
