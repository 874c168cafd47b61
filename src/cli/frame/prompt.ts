/** Questions at the terminal: secrets, yes or no, and host keys. */
import type { CommonOptions } from '@clack/prompts';
import type { Key } from 'node:readline';
import { PasswordError } from '../../errors.ts';
import { interrupted } from '../../interruption.ts';
import type { Agree } from '../../library/foreign-conf.ts';
import type { UnknownHost } from '../../transport/ssh/options.ts';
import type { Host } from './host.ts';
import { shownText } from '../terminal/terminal.ts';

/**
 * Asks for a secret on the terminal without echo.
 *
 * @returns the typed text, possibly empty
 * @throws {InterruptedError} `interrupted` — Ctrl-C, Ctrl-D or Escape, or the terminal was closed
 */
export async function askHidden(host: Host, question: string): Promise<string> {
  const { password } = await import('@clack/prompts');
  const message = shownText(question);
  const answer = await ask(host, (common) => password({ message, ...common }));
  if (typeof answer === 'string') return answer;
  throw interrupted();
}

/**
 * Asks for a confirmation. The default answer is no.
 *
 * @throws {InterruptedError} `interrupted` — as {@link askHidden}
 */
async function askYesNo(host: Host, question: string): Promise<boolean> {
  const { confirm } = await import('@clack/prompts');
  const message = shownText(question);
  const answer = await ask(host, (common) => confirm({ message, initialValue: false, ...common }));
  if (typeof answer === 'boolean') return answer;
  throw interrupted();
}

/** Confirms the claims of a conf by asking at the terminal, if there is one. */
export function agreeing(host: Host): Agree {
  return host.canAsk ? (claim) => askYesNo(host, claim) : undefined;
}

/**
 * Asks whether the key of an unknown server is right: `yes`, `no`, or the fingerprint that its
 * owner has published.
 *
 * @throws {InterruptedError} `interrupted` — as {@link askHidden}
 */
export async function askHostKey(
  host: Host,
  { name, keyType, fingerprint }: UnknownHost,
): Promise<boolean> {
  const { text } = await import('@clack/prompts');
  host.out.alert(shownText(`${name} is not known here. Its host key is ${keyType} ${fingerprint}`));
  const message = 'Is that the right one? (yes, no, or the fingerprint)';
  for (;;) {
    const answer = await ask(host, (common) => text({ message, ...common }));
    if (typeof answer !== 'string') throw interrupted();
    const typed = answer.trim();
    if (/^no?$/i.test(typed)) return false;
    if (/^yes$/i.test(typed) || typed === fingerprint) return true;
    host.out.alert(
      typed.startsWith('SHA256:') ? 'That is not its fingerprint.' : 'Type yes or no.',
    );
  }
}

/**
 * Asks one question, and always releases the terminal.
 *
 * @returns the answer; a symbol if none was given
 */
async function ask(
  host: Host,
  prompt: (common: CommonOptions) => Promise<unknown>,
): Promise<unknown> {
  host.out.clearStatus();
  // The prompt wraps at this width. A pseudo-terminal without a size reports 0.
  process.stderr.columns = host.out.columns;
  // At the end of its input the prompt would never resolve.
  const ended = new AbortController();
  const end = (): void => ended.abort();
  const endByKey = (_: string | undefined, key: Key): void => {
    if (key.ctrl === true && key.name === 'd') end();
  };
  host.stdin.on('keypress', endByKey).once('end', end).once('error', end);
  const restore = tolerateClosing(host.stdin);
  try {
    return await prompt({
      input: host.stdin,
      output: process.stderr,
      signal: AbortSignal.any([host.signal, ended.signal]),
      withGuide: false,
    });
  } finally {
    host.stdin.off('keypress', endByKey).off('end', end).off('error', end);
    restore();
  }
}

/**
 * A closed terminal refuses its settings, and the prompt sets them where the error cannot be
 * caught.
 */
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

/** The question for a password, in words that no server's question has. */
export function passwordQuestion(vault?: { readonly source: string }): string {
  return vault === undefined
    ? 'Password of the encrypted copy'
    : `Password of the vault ${vault.source}`;
}

/**
 * Asks for a password that opens something here. The question says what it opens, since a server
 * may also ask for a password, which is sent to the server.
 *
 * @throws {PasswordError} `password-empty`
 * @throws {InterruptedError} `interrupted`
 */
export async function askPassword(host: Host, question: string): Promise<Buffer> {
  const answer = await askHidden(host, question);
  if (answer === '') {
    throw new PasswordError('password-empty', 'the password is empty', { hint: 'Type one.' });
  }
  return Buffer.from(answer);
}

/** The first of the two lines of a master key on a recovery sheet. */
const FIRST_LINE = /^(?:[0-9a-f]{8}-){4}$/i;

/**
 * Asks for a master key, in one line or in the two lines of a recovery sheet, or for another
 * accepted secret.
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

/** How often the two may differ. */
const NEW_PASSWORD_TRIES = 3;

/**
 * Asks for a new password twice, and again when the two differ.
 *
 * @throws {PasswordError} `password-empty`, `passwords-differ`
 * @throws {InterruptedError} `interrupted`
 */
export async function askNewPassword(host: Host): Promise<Buffer> {
  for (let attempt = 1; ; attempt++) {
    const first = await askPassword(host, 'New password');
    const second = await askPassword(host, 'The same again');
    const same = first.equals(second);
    second.fill(0);
    if (same) return first;
    first.fill(0);
    if (attempt < NEW_PASSWORD_TRIES) {
      host.out.note('the two passwords differ; once more');
      continue;
    }
    throw new PasswordError('passwords-differ', 'the two passwords differ', {
      hint: 'Run the command again.',
    });
  }
}
