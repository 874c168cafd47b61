/** How a destination is reached by the settings of a push or restore. */
import type { SshOptions } from '../../transport/ssh/options.ts';
import type { DestinationOptions } from './destination-remote.ts';
import type { PeerSettings } from '../run-settings.ts';

const SSH_CONNECT_TIMEOUT_MS = 30_000;

/** What a login may want to know before the first byte is sent, or has to tell. */
export interface LoginQuestions {
  /** Absent without a terminal. */
  readonly askPassphrase?: (keyFile: string) => Promise<string | undefined>;
  /** Absent without a terminal. */
  readonly askPassword?: (prompt: string) => Promise<string | undefined>;
  /** Whether an unknown host is to be trusted. Absent without a terminal. */
  readonly askHostKey?: SshOptions['askHostKey'];
  /** The password of an rsync daemon; undefined: there is none. The bytes are overwritten. */
  readonly daemonPassword?: () => Promise<Buffer | undefined>;
  /** How a destination is reached, for who looks into it. */
  readonly tellDetail?: (text: string) => void;
  /** A daemon's message of the day: raw and untrusted, at most 64 KiB. */
  readonly tellMotd?: (text: string) => void;
}

/** How a destination is reached by these settings. */
export function destinationOptions(
  settings: PeerSettings,
  books: { note(code: string, message: string): void },
  questions: LoginQuestions,
): DestinationOptions {
  const { askPassphrase, askPassword, askHostKey, daemonPassword, tellMotd, tellDetail } =
    questions;
  return {
    ...(settings.rsh !== undefined && { rsh: settings.rsh }),
    ...(settings.rsyncPath !== undefined && { rsyncPath: settings.rsyncPath }),
    interactive: askPassword !== undefined,
    ssh: {
      acceptNewHostKey: settings.acceptNewHostKey,
      connectTimeoutMs:
        settings.timeoutSec > 0
          ? Math.min(settings.timeoutSec * 1000, SSH_CONNECT_TIMEOUT_MS)
          : SSH_CONNECT_TIMEOUT_MS,
      onNotice: (text) => books.note('ssh', text),
      ...(tellDetail && { onDetail: tellDetail }),
      ...(askPassphrase && { askPassphrase }),
      ...(askPassword && { askPassword }),
      ...(askHostKey && { askHostKey }),
    },
    daemon: {
      protocolMax: settings.protocolMax,
      password: daemonPassword,
      onMotd: tellMotd,
    },
  };
}
