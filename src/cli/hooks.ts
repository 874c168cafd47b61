/** Programs of the user's that run around a push. */
import { spawn } from 'node:child_process';
import { ExitCode, HookError, InterruptedError, UsageError } from '../errors.ts';
import { programFile } from '../programs.ts';
import { splitCommandWords } from '../vault/command-words.ts';
import type { HooksTable } from '../vault/config-tables.ts';
import type { Host } from './host.ts';
import { shownText } from './terminal.ts';

/** What a hook is told, each as an environment variable; nothing secret. */
export interface HookFacts {
  /** `ECSYNC_COMMAND` */
  readonly command: string;
  /** `ECSYNC_REMOTE`: its name, or the destination. */
  readonly remote: string;
  /** `ECSYNC_SOURCE`: the folder, where the hook also starts. */
  readonly source: string;
  /** `ECSYNC_EXIT_CODE`, `ECSYNC_ERROR_CODE`, `ECSYNC_ERROR`: how it ended. */
  readonly ended?: {
    readonly exitCode: number;
    readonly error?: { readonly code: string; readonly message: string } | undefined;
  };
}

/** Names of the hooks, as they are in `[hooks]`. */
export type HookName = keyof HooksTable;

/** How a hook ended: its exit status, -1 for a signal. */
type HookStatus = number;

/**
 * Runs a hook to its end; what it prints goes to standard error.
 *
 * @returns its exit status; 0 when there is none
 * @throws {UsageError} `command-invalid`, `hook-not-started`
 * @throws {InterruptedError} `interrupted`
 */
export async function runHook(
  host: Host,
  hooks: HooksTable,
  name: HookName,
  facts: HookFacts,
): Promise<HookStatus> {
  const command = hooks[name];
  if (command === undefined) return 0;
  const words =
    typeof command === 'string' ? splitCommandWords(command, `[hooks] ${name}`) : command;
  const [program = '', ...rest] = words;
  host.out.clearStatus();
  host.out.flush();
  host.out.detail(shownText(`hook ${name}: ${program}`));
  return new Promise((resolve, reject) => {
    const child = spawn(programFile(program), rest, {
      cwd: facts.source,
      env: { ...host.environment, ...variablesOf(facts) },
      stdio: ['ignore', process.stderr.fd, process.stderr.fd],
      windowsHide: true,
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
    child.on('exit', (code) => {
      host.signal.removeEventListener('abort', stop);
      if (host.signal.aborted) reject(new InterruptedError('interrupted', 'interrupted'));
      else resolve(code ?? -1);
    });
  });
}

function variablesOf({ command, remote, source, ended }: HookFacts): NodeJS.ProcessEnv {
  return {
    ECSYNC_COMMAND: command,
    ECSYNC_REMOTE: remote,
    ECSYNC_SOURCE: source,
    ...(ended && {
      ECSYNC_EXIT_CODE: String(ended.exitCode),
      ECSYNC_ERROR_CODE: ended.error?.code ?? '',
      ECSYNC_ERROR: ended.error?.message ?? '',
    }),
  };
}

/**
 * What the hook before a push decides.
 *
 * @returns true: go on; false: not now
 * @throws {HookError} `hook-failed`, and as {@link runHook}
 */
export async function askBefore(host: Host, hooks: HooksTable, facts: HookFacts): Promise<boolean> {
  const status = await runHook(host, hooks, 'before', facts);
  if (status === 0) return true;
  if (status === ExitCode.notNow) return false;
  throw new HookError('hook-failed', `the hook 'before' ended with status ${status}`, {
    hint: `Nothing was pushed. A hook that means "not now" ends with ${ExitCode.notNow}.`,
  });
}
