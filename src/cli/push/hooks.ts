/** Runs the user's programs around a push. */
import { spawn } from 'node:child_process';
import { ExitCode, HookError, UsageError } from '../../errors.ts';
import { interrupted } from '../../interruption.ts';
import { programFile } from '../../programs.ts';
import { splitCommand } from '../../vault/password/split-command.ts';
import type { HooksTable } from '../../vault/config/config-tables.ts';
import { namedFolder } from './frozen-source.ts';
import type { Host } from '../frame/host.ts';
import { shownText } from '../terminal/terminal.ts';

/** The facts passed to a hook as environment variables. None is secret. */
export interface HookFacts {
  /** `ECSYNC_COMMAND` */
  readonly command: string;
  /** `ECSYNC_REMOTE`: its name, or the destination. */
  readonly remote: string;
  /** `ECSYNC_SOURCE`: the source folder, which is also the hook's working folder. */
  readonly source: string;
  /**
   * `ECSYNC_FROZEN_SOURCE`: the folder that the hook before the push has named, for later hooks.
   */
  readonly frozen?: string | undefined;
  /** `ECSYNC_EXIT_CODE`, `ECSYNC_ERROR_CODE`, `ECSYNC_ERROR`: the result. */
  readonly ended?: {
    readonly exitCode: number;
    readonly error?: { readonly code: string; readonly message: string } | undefined;
  };
}

/** Names of the hooks, as they are in `[hooks]`. */
export type HookName = keyof HooksTable;

/** The result of a hook. */
interface HookEnd {
  /** Its exit status, -1 for a signal. 0 if there is no such hook. */
  readonly status: number;
  /** The end of its standard output. */
  readonly printed: string;
}

/** Time for the output of an ended hook to arrive. */
const OUTPUT_GRACE_MS = 1000;
/** More than a path needs. */
const PRINTED_MAX = 8192;

/**
 * Runs a hook to its end. Its output goes to standard error.
 *
 * @throws {UsageError} `command-invalid`, `hook-not-started`
 * @throws {InterruptedError} `interrupted`
 */
export async function runHook(
  host: Host,
  hooks: HooksTable,
  name: HookName,
  facts: HookFacts,
): Promise<HookEnd> {
  const command = hooks[name];
  if (command === undefined) return { status: 0, printed: '' };
  const words = typeof command === 'string' ? splitCommand(command, `[hooks] ${name}`) : command;
  const [program = '', ...rest] = words;
  host.out.clearStatus();
  host.out.flush();
  host.out.detail(shownText(`hook ${name}: ${program}`));
  return new Promise((resolve, reject) => {
    const child = spawn(programFile(program), rest, {
      cwd: facts.source,
      env: { ...host.environment, ...variablesOf(facts) },
      stdio: ['ignore', name === 'before' ? 'pipe' : process.stderr.fd, process.stderr.fd],
      windowsHide: true,
    });
    let printed = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      process.stderr.write(text);
      printed = (printed + text).slice(-PRINTED_MAX);
    });
    const stop = (): void => void child.kill();
    host.signal.addEventListener('abort', stop, { once: true });
    child.on('error', (error) => {
      host.signal.removeEventListener('abort', stop);
      const hint =
        'Check [hooks] in the configuration: the first word is a program, no shell is run.';
      const message = `the hook '${name}' cannot be started: ${program}`;
      reject(new UsageError('hook-not-started', message, { hint, cause: error }));
    });
    const end = (code: number | null): void => {
      host.signal.removeEventListener('abort', stop);
      if (host.signal.aborted) reject(interrupted());
      else resolve({ status: code ?? -1, printed });
    };
    child.on('close', end);
    // A background process of the hook may keep its output open. It is not waited for.
    child.on('exit', (code) => void setTimeout(() => end(code), OUTPUT_GRACE_MS).unref());
  });
}

function variablesOf({ command, remote, source, frozen, ended }: HookFacts): NodeJS.ProcessEnv {
  return {
    ECSYNC_COMMAND: command,
    ECSYNC_REMOTE: remote,
    ECSYNC_SOURCE: source,
    ...(frozen !== undefined && { ECSYNC_FROZEN_SOURCE: frozen }),
    ...(ended && {
      ECSYNC_EXIT_CODE: String(ended.exitCode),
      ECSYNC_ERROR_CODE: ended.error?.code ?? '',
      ECSYNC_ERROR: ended.error?.message ?? '',
    }),
  };
}

/** The push may continue. */
export interface Go {
  /** A frozen state of the source, to be read in its place. */
  readonly folder: string | undefined;
}

/**
 * Runs the hook before a push, which decides whether it continues.
 *
 * @returns undefined: not now; otherwise the push continues, with the folder that the hook has
 *   named, if any
 * @throws {HookError} `hook-failed`, and as {@link runHook}
 */
export async function runBeforeHook(
  host: Host,
  hooks: HooksTable,
  facts: HookFacts,
): Promise<Go | undefined> {
  const { status, printed } = await runHook(host, hooks, 'before', facts);
  if (status === 0) return { folder: namedFolder(printed) };
  if (status === ExitCode.notNow) return undefined;
  throw new HookError('hook-failed', `the hook 'before' ended with status ${status}`, {
    hint: `Nothing was pushed. A hook that means "not now" ends with ${ExitCode.notNow}.`,
  });
}
