/** Derives how a destination is reached from the settings of a push or restore. */
import type { SshOptions } from '../../transport/ssh/options.ts';
import type { DestinationOptions } from './destination-remote.ts';
import type { PeerSettings } from '../run-settings.ts';

const SSH_CONNECT_TIMEOUT_MS = 30_000;

/** Prompts that a login may need before the first byte is sent, and messages that it may report. */
export interface LoginQuestions {
  /** Absent without a terminal. */
  readonly askPassphrase?: (keyFile: string) => Promise<string | undefined>;
  /** Absent without a terminal. */
  readonly askPassword?: (prompt: string) => Promise<string | undefined>;
  /** Asks whether an unknown host is to be trusted. Absent without a terminal. */
  readonly askHostKey?: SshOptions['askHostKey'];
  /** The password of an rsync daemon, or undefined without one. The caller overwrites the bytes. */
  readonly daemonPassword?: () => Promise<Buffer | undefined>;
  /** Reports how the destination is reached, for verbose output. */
  readonly reportDetail?: (text: string) => void;
  /** Reports a daemon's message of the day: raw and untrusted, at most 64 KiB. */
  readonly reportMotd?: (text: string) => void;
}

/**
 * Derives how a destination is reached from these settings.
 *
 * @param signal - ends a login under way, with all its questions
 */
export function destinationOptions(
  settings: PeerSettings,
  books: { note(code: string, message: string): void },
  questions: LoginQuestions,
  signal: AbortSignal,
): DestinationOptions {
  const { askPassphrase, askPassword, askHostKey, daemonPassword, reportMotd, reportDetail } =
    questions;
  return {
    ...(settings.rsh !== undefined && { rsh: settings.rsh }),
    ...(settings.rsyncPath !== undefined && { rsyncPath: settings.rsyncPath }),
    interactive: askPassword !== undefined,
    ssh: {
      signal,
      acceptNewHostKey: settings.acceptNewHostKey,
      connectTimeoutMs:
        settings.timeoutSec > 0
          ? Math.min(settings.timeoutSec * 1000, SSH_CONNECT_TIMEOUT_MS)
          : SSH_CONNECT_TIMEOUT_MS,
      onNotice: (text) => books.note('ssh', text),
      ...(reportDetail && { onDetail: reportDetail }),
      ...(askPassphrase && { askPassphrase }),
      ...(askPassword && { askPassword }),
      ...(askHostKey && { askHostKey }),
    },
    daemon: {
      signal,
      protocolMax: settings.protocolMax,
      password: daemonPassword,
      onMotd: reportMotd,
    },
  };
}
