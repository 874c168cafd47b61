/**
 * The command `key fetch`: takes over the gocryptfs.conf of a copy after the password was changed
 * on another machine.
 */
import type { Command } from 'commander';
import { UsageError } from '../../errors.ts';
import { commitConf, settleConf, stageConf } from '../../vault/replace-conf.ts';
import { assertMasterkey, type VaultFrame } from '../../vault/vault.ts';
import type { CopyPlace } from '../../library/copy-place.ts';
import { agreeToCost } from '../../library/foreign-conf.ts';
import { findCopy } from '../copies/cipher-folder.ts';
import type { Host } from '../frame/host.ts';
import { agreeing, askPassword } from '../frame/prompt.ts';
import { DONE, type CommandResult, type Warnings } from '../frame/report.ts';
import { openInAnyForm, readVaultSecret } from '../secrets/secrets.ts';
import type { Selected } from '../frame/selected.ts';
import { addWaitOption, withVaultLock, type WaitOptions } from '../frame/vault-lock.ts';
import { addCopyOptions, type CopyOptions } from '../copies/copy-options.ts';
import { loginQuestions } from '../frame/login-questions.ts';

interface FetchOptions extends CopyOptions, WaitOptions {
  readonly scryptn?: number;
}

const AFTER_HELP = `
After \`key passwd\` on one machine and a push from there, the copy has a newer gocryptfs.conf than the
vaults on other machines, where pushes leave it as it is and say so. This takes it over, so that the new
password opens the vault here, too: it is asked for, and must open the same master key. The old one
opens it no more. REMOTE is the first one, if it is not named.`;

/** Defines `key fetch [REMOTE]`. */
export function defineKeyFetch(key: Command, select: Selected): void {
  const command = key
    .command('fetch')
    .description('Take over the password that was changed on another machine.')
    .argument('[remote]', 'name of a remote, or a destination');
  addCopyOptions(addWaitOption(command)).addHelpText('after', AFTER_HELP);
  command.action((remote: string | undefined) => {
    const options: FetchOptions = command.optsWithGlobals();
    select('key fetch', options, (host, warnings) => fetch(host, warnings, { options, remote }));
  });
}

async function fetch(
  host: Host,
  warnings: Warnings,
  { options, remote }: { readonly options: FetchOptions; readonly remote: string | undefined },
): Promise<CommandResult> {
  const place = findCopy(host, options, remote);
  const { vault } = place;
  if (vault === undefined || options.masterkey !== undefined) {
    throw new UsageError(
      'key-fetch-place',
      'key fetch takes a remote of a vault, and its password',
      {
        hint: 'Run it in the folder of the vault: ecsync key fetch REMOTE',
      },
    );
  }
  const task = { command: 'key fetch', destination: place.destination.shown };
  return withVaultLock(host, { vaultDir: vault.vaultDir, task, options }, async (holding) => {
    settleConf(vault);
    const { bytes: confBytes, mtimeSec } = await readConf(holding, warnings, { place, options });
    if (Buffer.compare(confBytes, vault.storedConf?.bytes ?? Buffer.alloc(0)) === 0) {
      host.out.note(`${place.destination.shown} has the gocryptfs.conf of this vault already`);
      return DONE;
    }
    await assertOpens(holding, warnings, { vault, confBytes, options, place });
    commitConf(vault, stageConf(vault, confBytes, mtimeSec));
    host.out.note(
      `took gocryptfs.conf over from ${place.destination.shown}: its password opens this vault now`,
    );
    return DONE;
  });
}

async function readConf(
  host: Host,
  warnings: Warnings,
  { place, options }: { readonly place: CopyPlace; readonly options: FetchOptions },
): Promise<{ readonly bytes: Uint8Array; readonly mtimeSec: number }> {
  const [{ ReachedCopy }, { confOfCopy }, { reachSettings }] = await Promise.all([
    import('../../sync/browse/open-remote-tree.ts'),
    import('../../library/opened-copy.ts'),
    import('../copies/reach-settings.ts'),
  ]);
  const { vault, destination } = place;
  const { passwordFile } = options;
  const surroundings = {
    signal: host.signal,
    questions: loginQuestions(host, { passwordFile, vault, destination, warnings }),
    note: (code: string, message: string) => warnings.add({ code, message }),
  };
  const found = await ReachedCopy.with(
    reachSettings(host, place, options),
    surroundings,
    async (reached) => {
      const { tree } = await reached.open({ reach: 'little', onProblem: () => undefined });
      return confOfCopy(tree);
    },
  );
  if (found !== undefined) return found;
  const { confMissing } = await import('../../sync/copy/copy-root.ts');
  throw confMissing(destination.shown, 'Is this the right remote?');
}

/** @throws {PasswordError} `wrong-password`, `wrong-masterkey`; {IntegrityError} `conf-seal-wrong` */
async function assertOpens(
  host: Host,
  warnings: Warnings,
  about: {
    readonly vault: VaultFrame;
    readonly confBytes: Uint8Array;
    readonly options: FetchOptions;
    readonly place: CopyPlace;
  },
): Promise<void> {
  const [{ confAgreeing }, { assertSeal }] = await Promise.all([
    import('../../vault/vault-conf.ts'),
    import('../../gocryptfs/conf/conf-seal.ts'),
  ]);
  const { vault, confBytes, options, place } = about;
  const conf = confAgreeing(vault, confBytes);
  await agreeToCost(conf, { options, place: place.destination.shown, agree: agreeing(host) });
  const asked = { ...options, ask: () => askPassword(host, 'New password') };
  const secret = await readVaultSecret(host, vault, asked, warnings);
  try {
    const masterkey = await openInAnyForm(host, warnings, conf, secret.bytes);
    try {
      assertMasterkey(vault, masterkey);
      assertSeal(conf, masterkey);
    } finally {
      masterkey.fill(0);
    }
  } finally {
    secret.bytes.fill(0);
  }
}
