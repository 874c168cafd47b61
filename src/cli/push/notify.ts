/** Notifies services and the desktop of how a push ended. */
import { execFile } from 'node:child_process';
import { programFile } from '../../programs.ts';
import type { Host } from '../frame/host.ts';
import type { Warnings } from '../frame/report.ts';

const PING_TIMEOUT_MS = 10_000;
const DESKTOP_TIMEOUT_MS = 10_000;
const TEXT_LENGTH_MAX = 300;
const LOG_LINES_MAX = 50;
/** The message length that healthchecks.io keeps. */
const LOG_LENGTH_MAX = 10_000;

/**
 * A service that expects a ping for every run, such as healthchecks.io: the address itself for
 * success, and `/start` and `/fail` below it. It gets the exit code, and the log only if that is
 * configured.
 */
export class Healthcheck {
  readonly #address: URL;
  readonly #warnings: Pick<Warnings, 'add'>;
  #pending: Promise<void> = Promise.resolve();

  /** @param address - http or https */
  constructor(address: string, warnings: Pick<Warnings, 'add'>) {
    this.#address = new URL(address);
    this.#warnings = warnings;
  }

  /** Pings without waiting for the answer. */
  start(): void {
    this.#pending = this.#ping('start', '');
  }

  /**
   * Resolves after the answer or a timeout. A failure is only a warning.
   *
   * @param log - sent after the exit code; if there is too much, only the last lines
   */
  async end(exitCode: number, isGood: boolean, log: readonly string[] = []): Promise<void> {
    await this.#pending;
    const lines = [`exit code ${exitCode}`, ...log.slice(-LOG_LINES_MAX)];
    await this.#ping(isGood ? '' : 'fail', lines.join('\n').slice(0, LOG_LENGTH_MAX));
  }

  async #ping(path: string, body: string): Promise<void> {
    const url = new URL(this.#address);
    if (path !== '') url.pathname = `${url.pathname.replace(/\/+$/, '')}/${path}`;
    try {
      const signal = AbortSignal.timeout(PING_TIMEOUT_MS);
      const answer = await fetch(url, { method: 'POST', body, signal });
      await answer.body?.cancel();
      if (!answer.ok) this.#warn(`answered ${answer.status}`);
    } catch (error) {
      const isSlow = error instanceof Error && error.name === 'TimeoutError';
      this.#warn(isSlow ? 'did not answer in time' : 'cannot be reached');
    }
  }

  /** Names only the host, since the path of the address is as good as a password. */
  #warn(what: string): void {
    const message = `the healthcheck at ${this.#address.host} ${what}`;
    this.#warnings.add({ code: 'healthcheck-failed', message });
  }
}

const TOAST = [
  '[Windows.UI.Notifications.ToastNotificationManager,Windows.UI.Notifications,ContentType=WindowsRuntime]|Out-Null',
  '$t=[Windows.UI.Notifications.ToastNotificationManager]::GetTemplateContent(1)',
  "$x=$t.GetElementsByTagName('text')",
  "$x.Item(0).AppendChild($t.CreateTextNode('ecsync'))|Out-Null",
  '$x.Item(0).AppendChild($t.CreateTextNode(": "+$env:ECSYNC_TEXT))|Out-Null',
  "$id='{1AC14E77-02E7-4E5D-B744-2EB1AE5198B7}\\WindowsPowerShell\\v1.0\\powershell.exe'",
  '[Windows.UI.Notifications.ToastNotificationManager]::CreateToastNotifier($id).Show([Windows.UI.Notifications.ToastNotification]::new($t))',
].join(';');

/** The program that shows a message on the desktop of a platform, and its arguments. */
function desktopCommand(
  platform: NodeJS.Platform,
  text: string,
): { readonly program: string; readonly words: readonly string[] } {
  if (platform === 'darwin') {
    const script = [
      'on run argv',
      'display notification (item 1 of argv) with title "ecsync"',
      'end run',
    ];
    return { program: 'osascript', words: [...script.flatMap((line) => ['-e', line]), text] };
  }
  if (platform === 'win32') {
    return {
      program: 'powershell.exe',
      words: ['-NoProfile', '-NonInteractive', '-Command', TOAST],
    };
  }
  return { program: 'notify-send', words: ['--app-name=ecsync', '--', 'ecsync', text] };
}

/** Shows a message on the desktop, if there is one. Never throws, and never takes long. */
export function notifyDesktop(host: Host, message: string): Promise<void> {
  const text = message.slice(0, TEXT_LENGTH_MAX);
  const { program, words } = desktopCommand(host.platform, text);
  const env = { ...host.environment, ECSYNC_TEXT: text };
  return new Promise((resolve) => {
    execFile(
      programFile(program),
      [...words],
      { env, timeout: DESKTOP_TIMEOUT_MS, windowsHide: true },
      (error) => {
        if (error !== null) host.out.detail(`no message on the desktop: ${program} failed`);
        resolve();
      },
    );
  });
}
