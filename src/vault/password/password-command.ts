/** Runs a program that prints a password. */
import { spawn } from 'node:child_process';
import { PasswordError } from '../../errors.ts';
import { programFile } from '../../programs.ts';
import { FirstLine } from './first-line.ts';

/** Limit of the output; a program that prints more is no password command. */
const OUTPUT_LENGTH_MAX = 65_536;

/**
 * Runs a program and takes the first line of its output. It inherits the terminal, so that it can
 * ask questions itself. No shell is involved, and its environment holds no password.
 *
 * @throws {PasswordError} `password-command-failed` — it could not be started, or its exit status
 *   is not 0; the message names only the program, since the arguments may be secret
 * @throws {PasswordError} `password-empty`, `password-too-long`
 * @throws the signal's reason
 */
export async function runPasswordCommand(
  words: readonly [string, ...string[]],
  signal: AbortSignal,
): Promise<Buffer> {
  signal.throwIfAborted();
  const [program, ...rest] = words;
  const environment = { ...process.env };
  delete environment['ECSYNC_PASSWORD'];
  const child = spawn(programFile(program), rest, {
    stdio: ['inherit', 'pipe', 'inherit'],
    env: environment,
    windowsHide: true,
  });
  const kill = (): void => void child.kill();
  signal.addEventListener('abort', kill, { once: true });
  try {
    const line = new FirstLine(program);
    const ended = new Promise<number | string>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, killer) => resolve(code ?? killer ?? 1));
    });
    // The rejection is awaited below; until then it must not count as unhandled.
    ended.catch(() => undefined);
    let length = 0;
    for await (const chunk of child.stdout) {
      if (!(chunk instanceof Uint8Array)) continue;
      line.push(chunk);
      length += chunk.length;
      chunk.fill(0);
      if (length > OUTPUT_LENGTH_MAX) throw commandFailed(program, 'prints too much');
    }
    const status = await ended;
    signal.throwIfAborted();
    if (status !== 0) throw commandFailed(program, `ended with ${status}`);
    return line.finish();
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof PasswordError) throw error;
    // Node's own error is not kept as the cause: it contains the arguments.
    throw commandFailed(program, 'could not be started');
  } finally {
    signal.removeEventListener('abort', kill);
    child.kill();
  }
}

function commandFailed(program: string, what: string): PasswordError {
  return new PasswordError('password-command-failed', `the password command ${program} ${what}`, {
    hint: 'Run it by hand: it must print the password and end with status 0.',
  });
}
