/**
 * Answers the questions of a login: a person at the terminal, the environment, or the
 * configuration.
 */
import { daemonPasswordFileOf } from '../../library/daemon-password.ts';
import type { LoginQuestions } from '../../sync/reach/destination-options.ts';
import { type Destination } from '../../vault/destination/destination.ts';
import { readDaemonPasswordFile } from '../../vault/password/password.ts';
import type { VaultFrame } from '../../vault/vault.ts';
import type { Host } from './host.ts';
import { askHidden, askHostKey } from './prompt.ts';
import type { Warnings } from './report.ts';
import { shownText } from '../terminal/terminal.ts';

/** Other sources of an rsync daemon's password than the environment and a prompt. */
export interface DaemonPasswordPlace {
  /** `--password-file` */
  readonly passwordFile?: string | undefined;
  /** A vault that may have the destination among its remotes. */
  readonly vault?: Pick<VaultFrame, 'config' | 'vaultDir' | 'source'> | undefined;
  readonly destination?: Destination | undefined;
  readonly warnings?: Warnings | undefined;
}

/**
 * The questions of a login that can be answered. The password of an rsync daemon comes from the
 * first of: the option, the remote's configuration, the environment, a prompt.
 */
export function loginQuestions(host: Host, place: DaemonPasswordPlace): LoginQuestions {
  const ask = async (question: string): Promise<string | undefined> =>
    (await askHidden(host, question)) || undefined;
  return {
    daemonPassword: () => readDaemonPassword(host, place),
    reportMotd: (text) => {
      for (const line of text.split('\n')) host.out.detail(`server: ${shownText(line)}`);
    },
    reportDetail: (text) => {
      host.out.detail(shownText(text));
    },
    ...(host.canAsk && {
      askPassphrase: (keyFile) => ask(`Passphrase of ${keyFile}`),
      askPassword: (prompt) => ask(prompt),
      askHostKey: (unknown) => askHostKey(host, unknown),
    }),
  };
}

async function readDaemonPassword(
  host: Host,
  place: DaemonPasswordPlace,
): Promise<Buffer | undefined> {
  const file =
    place.passwordFile ??
    configuredFile(host, place) ??
    (host.environment['ECSYNC_DAEMON_PASSWORD_FILE'] || undefined);
  if (file !== undefined) {
    return readDaemonPasswordFile(file, {
      signal: host.signal,
      warn: (code, message) => place.warnings?.add({ code, message }),
    });
  }
  const { daemon } = host.passwordVariables;
  if (daemon !== undefined) return Buffer.from(daemon);
  if (!host.canAsk) return undefined;
  const typed = await askHidden(host, 'Password of the rsync daemon');
  return typed === '' ? undefined : Buffer.from(typed);
}

/** The password file that the vault's configuration names for this destination. */
function configuredFile(
  host: Host,
  { vault, destination }: DaemonPasswordPlace,
): string | undefined {
  if (vault === undefined || destination === undefined) return undefined;
  return daemonPasswordFileOf(host, vault, destination);
}
