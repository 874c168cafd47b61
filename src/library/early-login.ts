/**
 * Logs in before the vault's password is asked for, so that the question about an unknown host
 * comes first.
 */
import type { LoginQuestions } from '../sync/reach/destination-options.ts';
import type { OpenDestination } from '../sync/reach/destination-remote.ts';
import type { Destination } from '../vault/destination/destination.ts';
import type { PeerSettings } from '../sync/run-settings.ts';
import type { Caller } from './caller.ts';

/** Whether a question about the host may come up that must precede the question for a password. */
export function isHostFirst(
  { askHostKey }: Pick<LoginQuestions, 'askHostKey'>,
  { kind }: Pick<Destination, 'kind'>,
): boolean {
  return askHostKey !== undefined && kind === 'ssh';
}

interface LoginPlace {
  readonly destination: Destination;
  readonly peer: PeerSettings;
  readonly questions: LoginQuestions;
}

/** One login over ssh, for the first that takes it. */
export class EarlyLogin {
  readonly #caller: Caller;
  readonly #place: LoginPlace;
  #opened: OpenDestination | undefined;

  constructor(caller: Caller, place: LoginPlace) {
    this.#caller = caller;
    this.#place = place;
  }

  /**
   * Logs in, once. Does nothing for destinations without host keys.
   *
   * @throws as `openDestination`
   * @throws {InterruptedError} `interrupted`
   */
  async start(): Promise<void> {
    const { destination, peer, questions } = this.#place;
    if (this.#opened !== undefined || !isHostFirst(questions, destination)) return;
    const [{ destinationOptions }, { closeLate, openDestination }, { unlessAborted }] =
      await Promise.all([
        import('../sync/reach/destination-options.ts'),
        import('../sync/reach/destination-remote.ts'),
        import('../interruption.ts'),
      ]);
    const { signal, warn } = this.#caller;
    const reach = destinationOptions(peer, { note: warn }, questions, signal);
    const opening = openDestination(destination, reach);
    this.#opened = await unlessAborted(opening, signal, closeLate);
  }

  /** Hands over the login. Undefined if there is none any more. */
  take(): OpenDestination | undefined {
    const opened = this.#opened;
    this.#opened = undefined;
    return opened;
  }

  /** Logs out, unless the login was taken. */
  async end(): Promise<void> {
    await this.take()?.remote.close();
  }
}
