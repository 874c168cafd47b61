import type { Key } from 'node:readline';
import { InterruptedError, PasswordError } from '../errors.ts';
import type { Host } from './host.ts';
import { shownText } from './terminal.ts';

/**
 * Asks for a secret on the terminal without echo.
 *
 * @returns what was typed, possibly nothing
 * @throws {InterruptedError} `interrupted` — Ctrl-C, Ctrl-D or Escape, or the terminal was closed
 */
export async function askHidden(host: Host, question: string): Promise<string> {
  const { isCancel, password } = await import('@clack/prompts');
  host.out.clearStatus();
  // The prompt wraps at this width; a pseudo-terminal that nobody gave a size has 0.
  process.stderr.columns = host.out.columns;
  // At the end of its input the prompt would never give an answer.
  const ended = new AbortController();
  const end = (): void => ended.abort();
  const endByKey = (_: string | undefined, key: Key): void => {
    if (key.ctrl === true && key.name === 'd') end();
  };
  host.stdin.on('keypress', endByKey).once('end', end).once('error', end);
  const restore = tolerateClosing(host.stdin);
  try {
    const answer = await password({
      message: shownText(question),
      input: host.stdin,
      output: process.stderr,
      signal: AbortSignal.any([host.signal, ended.signal]),
      withGuide: false,
    });
    if (isCancel(answer)) throw new InterruptedError('interrupted', 'interrupted');
    return answer;
  } finally {
    host.stdin.off('keypress', endByKey).off('end', end).off('error', end);
    restore();
  }
}

/** A terminal that was closed refuses its settings; the prompt sets them where nobody could catch that. */
function tolerateClosing(stdin: Host['stdin']): () => void {
  const setRawMode = stdin.setRawMode.bind(stdin);
  stdin.setRawMode = (mode) => {
    try {
      return setRawMode(mode);
    } catch {
      return stdin;
    }
  };
  return () => void Reflect.deleteProperty(stdin, 'setRawMode');
}

/**
 * Asks for the password of a vault.
 *
 * @throws {PasswordError} `password-empty`
 * @throws {InterruptedError} `interrupted`
 */
export async function askPassword(host: Host, question = 'Password'): Promise<Buffer> {
  const answer = await askHidden(host, question);
  if (answer === '') {
    throw new PasswordError('password-empty', 'the password is empty', { hint: 'Type one.' });
  }
  return Buffer.from(answer);
}

/** The first line of a master key on a recovery sheet, which has it on two. */
const FIRST_LINE = /^(?:[0-9a-f]{8}-){4}$/i;

/**
 * Asks for a master key, in one line or in the two of a recovery sheet, or for what it may be
 * instead of one.
 *
 * @throws {PasswordError} `password-empty`
 * @throws {InterruptedError} `interrupted`
 */
export async function askMasterkey(host: Host, question = 'Master key'): Promise<Buffer> {
  const first = await askPassword(host, question);
  if (!FIRST_LINE.test(first.toString('latin1').trim())) return first;
  const second = await askPassword(host, 'Its second line');
  return Buffer.concat([first, second]);
}

/**
 * Asks for a new password twice.
 *
 * @throws {PasswordError} `password-empty`, `passwords-differ`
 * @throws {InterruptedError} `interrupted`
 */
export async function askNewPassword(host: Host): Promise<Buffer> {
  const first = await askPassword(host, 'New password');
  const second = await askPassword(host, 'The same again');
  const same = first.equals(second);
  second.fill(0);
  if (same) return first;
  first.fill(0);
  throw new PasswordError('passwords-differ', 'the two passwords differ', {
    hint: 'Run the command again.',
  });
}
