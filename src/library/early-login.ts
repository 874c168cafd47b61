/** A login that comes before the vault's password is asked for, so that an unknown host is told first. */
import type { LoginQuestions } from '../sync/reach/destination-options.ts';
import type { OpenDestination } from '../sync/reach/destination-remote.ts';
import type { Destination } from '../vault/destination/destination.ts';
import type { PeerSettings } from '../sync/run-settings.ts';
import type { Caller } from './caller.ts';

/** Where an unknown host can be asked about, that comes before the question for a password. */
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

/** One login over ssh, for whoever takes it. */
export class EarlyLogin {
  readonly #caller: Caller;
  readonly #place: LoginPlace;
  #opened: OpenDestination | undefined;

  constructor(caller: Caller, place: LoginPlace) {
    this.#caller = caller;
    this.#place = place;
  }

  /**
   * Logs in, once. Destinations that show no host key are left alone.
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
    const reach = destinationOptions(peer, { note: warn }, questions);
    const opening = openDestination(destination, reach);
    this.#opened = await unlessAborted(opening, signal, closeLate);
  }

  /** Hands the login over; undefined when there is none any more. */
  take(): OpenDestination | undefined {
    const opened = this.#opened;
    this.#opened = undefined;
    return opened;
  }

  /** Logs out, if nobody took the login. */
  async end(): Promise<void> {
    await this.take()?.remote.close();
  }
}
