import { inject } from 'vitest';
import { canRunWarm, runWarm } from '../../support/warm-commands.ts';
import { type Bench, type CliOptions, type CliResult, environment, runProgram } from './run-cli.ts';

export { type Bench, type CliOptions, type CliResult, makeBench } from './run-cli.ts';

/** Runs `ecsync` as a scheduler does: no terminal, no standard input. */
export async function ecsync(
  words: readonly string[],
  options: CliOptions = {},
): Promise<CliResult> {
  const program = inject('cliPath');
  const { cwd = '/', env, node = process.execPath, ...others } = options;
  if (node !== process.execPath || Object.keys(others).length > 0 || !canRunWarm(env)) {
    return runProgram(node, [program, ...words], options);
  }
  const result = await runWarm({ program, words, cwd, environment: environment(env) });
  return {
    ...result,
    stdout: result.stdout.toString('latin1'),
    stderr: result.stderr.toString('utf8'),
  };
}

/** Makes the bench's source a vault with a cheap scrypt, so that tests do not wait for it. */
export async function initVault(bench: Bench): Promise<void> {
  const result = await ecsync([
    'init',
    bench.source,
    '--scryptn',
    '10',
    '--passfile',
    bench.passfile,
  ]);
  if (result.code !== 0) throw new Error(`init failed: ${result.stderr}`);
}

/** The last line of `--json` output. */
export interface JsonSummary {
  readonly type: 'summary';
  readonly exitCode: number;
  readonly filesTotal: number;
  readonly filesSent: number;
  readonly filesDeleted: number;
  readonly literalBytes: number;
  readonly matchedBytes: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly error?: { readonly code: string; readonly message: string; readonly hint?: string };
}

export function summaryOf(result: CliResult): JsonSummary {
  const last = result.stdout.trimEnd().split('\n').at(-1) ?? '';
  return JSON.parse(last) as JsonSummary;
}
