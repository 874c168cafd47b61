/** A login that comes before the vault's password is asked for, so that an unknown host is told first. */
import type { LoginQuestions } from '../../sync/reach/destination-options.ts';
import type { OpenDestination } from '../../sync/reach/destination-remote.ts';
import type { Destination } from '../../vault/destination/destination.ts';
import type { Host } from './host.ts';
import type { Warnings } from './report.ts';
import { peerSettings, type PeerOptions } from './run-options.ts';

/** On a terminal an unknown host is told before a password is asked for. */
export function isHostFirst({ canAsk }: Pick<Host, 'canAsk'>, { kind }: Destination): boolean {
  return canAsk && kind === 'ssh';
}

interface LoginPlace {
  readonly destination: Destination;
  readonly options: PeerOptions;
  readonly questions: LoginQuestions | undefined;
  readonly warnings: Warnings;
}

/** One login over ssh, for whoever takes it. */
export class EarlyLogin {
  readonly #host: Host;
  readonly #place: LoginPlace;
  #opened: OpenDestination | undefined;

  constructor(host: Host, place: LoginPlace) {
    this.#host = host;
    this.#place = place;
  }

  /**
   * Logs in, once. Destinations that show no host key are left alone.
   *
   * @throws as `openDestination`
   * @throws {InterruptedError} `interrupted`
   */
  async start(): Promise<void> {
    const { destination, options, questions = {}, warnings } = this.#place;
    if (this.#opened !== undefined || !isHostFirst(this.#host, destination)) return;
    const [{ destinationOptions }, { closeLate, openDestination }, { unlessAborted }] =
      await Promise.all([
        import('../../sync/reach/destination-options.ts'),
        import('../../sync/reach/destination-remote.ts'),
        import('../../sync/interruption.ts'),
      ]);
    const note = (code: string, message: string): void => warnings.add({ code, message });
    const reach = destinationOptions(peerSettings(options), { note }, questions);
    const opening = openDestination(destination, reach);
    this.#opened = await unlessAborted(opening, this.#host.signal, closeLate);
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
