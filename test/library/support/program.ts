/** Programs that use the library, each in a process of its own with a home folder of its own. */
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { inject } from 'vitest';
import { type CliResult, runProgram } from '../../e2e/support/run-cli.ts';

/**
 * Runs a module that has the library as `library`, and kills it when it does not end by itself.
 *
 * @param env - of the process: `HOME`, and what the module reads
 */
export async function runModule(
  body: string,
  env: Readonly<Record<string, string>>,
): Promise<CliResult> {
  const entry = pathToFileURL(path.resolve(inject('cliPath'), '../../index.js')).href;
  const source = `import * as library from ${JSON.stringify(entry)};\n${body}`;
  let timer: NodeJS.Timeout | undefined;
  try {
    return await runProgram(process.execPath, ['--input-type=module', '-e', source], {
      env,
      onStart: (child) => {
        timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
      },
    });
  } finally {
    clearTimeout(timer);
  }
}

/** A server waits longer than this for a login, and a client for an answer. */
const PATIENCE_MS = 10_000;
