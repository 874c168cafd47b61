/** The process as commands see it: streams, environment, working folder and signals. */
import type { Output } from '../terminal/output.ts';

/** Everything a command may use of its process. */
export interface Host {
  readonly out: Output;
  /** Current folder, absolute. */
  readonly folder: string;
  readonly platform: NodeJS.Platform;
  /** Environment without the password variables. */
  readonly environment: NodeJS.ProcessEnv;
  /** The password variables, removed from the environment so that no child inherits them. */
  readonly passwordVariables: PasswordVariables;
  readonly stdin: NodeJS.ReadStream;
  /** Aborted by the first Ctrl-C or termination signal. The reason is an InterruptedError. */
  readonly signal: AbortSignal;
  /** Key derivations that run in threads. A normal exit of the process waits for them. */
  readonly derivations: Set<Promise<unknown>>;
  /** Version of this program. */
  readonly version: string;
  /** Whether there is a terminal to ask questions on. */
  readonly canAsk: boolean;
}

export interface PasswordVariables {
  readonly file?: string;
  readonly command?: string;
  readonly password?: string;
  /** `RSYNC_PASSWORD`, as in the stock client: the password of an rsync daemon. */
  readonly daemon?: string;
}

/** Removes the password variables from an environment. An empty one counts as absent. */
export function takePasswordVariables(environment: NodeJS.ProcessEnv): PasswordVariables {
  const take = (name: string): string | undefined => {
    const value = environment[name];
    Reflect.deleteProperty(environment, name);
    return value === '' ? undefined : value;
  };
  const file = take('ECSYNC_PASSWORD_FILE');
  const command = take('ECSYNC_PASSWORD_COMMAND');
  const password = take('ECSYNC_PASSWORD');
  const daemon = take('RSYNC_PASSWORD');
  return {
    ...(file === undefined ? {} : { file }),
    ...(command === undefined ? {} : { command }),
    ...(password === undefined ? {} : { password }),
    ...(daemon === undefined ? {} : { daemon }),
  };
}
