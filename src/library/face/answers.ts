/** Checks the questions that a program answers, and each of its answers. */
import { UsageError } from '../../errors.ts';
import type { UnknownHost } from '../../transport/ssh/options.ts';
import { invalidOption, unknownOption } from './given-kinds.ts';

/** An answer, or a promise of one. */
type Answer<T> = T | Promise<T>;

/** Answers questions of a login. If one is absent, the login tries without it, or fails. */
export interface Questions {
  /** Whether to trust an unknown host. True: its key is recorded in `known_hosts`. */
  readonly askHostKey?: (host: UnknownHost) => Answer<boolean | undefined>;
  /** Answers a prompt of an ssh server, usually for a password. Undefined: there is no answer. */
  readonly askPassword?: (prompt: string) => Answer<string | undefined>;
  /** The passphrase of a key file. Undefined: the key is not used. */
  readonly askPassphrase?: (keyFile: string) => Answer<string | undefined>;
  /** The password of an rsync daemon, if the vault's configuration names no file with it. */
  readonly daemonPassword?: () => Answer<string | Uint8Array | undefined>;
}

/** Answers questions that come up while a copy is opened. */
export interface CopyQuestions extends Questions {
  /**
   * Whether to accept a conf that makes a password cost more than usual, which anybody who can
   * write to the copy can choose. Absent: accept up to `scryptn` only.
   */
  readonly agree?: (claim: string) => Answer<boolean | undefined>;
}

/**
 * Questions whose answers are checked.
 *
 * @internal
 */
export interface CheckedQuestions {
  readonly askHostKey?: (host: UnknownHost) => Promise<boolean>;
  readonly askPassword?: (prompt: string) => Promise<string | undefined>;
  readonly askPassphrase?: (keyFile: string) => Promise<string | undefined>;
  readonly daemonPassword?: () => Promise<string | Uint8Array | undefined>;
  readonly agree?: (claim: string) => Promise<boolean>;
}

const LOGIN_QUESTIONS = ['askHostKey', 'askPassword', 'askPassphrase', 'daemonPassword'];

/**
 * Checks which questions are answered, and later every answer. Nothing but `true` counts as yes.
 *
 * @param isOfCopy - it may also answer `agree`
 * @throws {UsageError} `option-invalid`, `option-unknown` — also when a question is answered by
 *   something else than it asks for
 *
 * @internal
 */
export function checkedQuestions(
  questions: CopyQuestions | undefined,
  isOfCopy = false,
): CheckedQuestions {
  if (questions === undefined) return {};
  const names = isOfCopy ? [...LOGIN_QUESTIONS, 'agree'] : LOGIN_QUESTIONS;
  assertQuestions(questions, names);
  const { askHostKey, askPassword, askPassphrase, daemonPassword, agree } = questions;
  return {
    ...(askHostKey && {
      askHostKey: async (host) => yesOrNo('askHostKey', await askHostKey(host)),
    }),
    ...(askPassword && {
      askPassword: async (prompt) => textOrNone('askPassword', await askPassword(prompt)),
    }),
    ...(askPassphrase && {
      askPassphrase: async (file) => textOrNone('askPassphrase', await askPassphrase(file)),
    }),
    ...(daemonPassword && {
      daemonPassword: async () => {
        const answer: unknown = await daemonPassword();
        return answer instanceof Uint8Array ? answer : textOrNone('daemonPassword', answer);
      },
    }),
    ...(agree && { agree: async (claim) => yesOrNo('agree', await agree(claim)) }),
  };
}

function assertQuestions(questions: unknown, names: readonly string[]): void {
  if (typeof questions !== 'object' || questions === null || Array.isArray(questions)) {
    throw invalidOption('questions', questions, 'It must be an object with functions.');
  }
  for (const [name, ask] of Object.entries(questions)) {
    if (!names.includes(name)) throw unknownOption(`questions.${name}`, questionsNamed(names));
    if (ask === undefined || typeof ask === 'function') continue;
    throw invalidOption(`questions.${name}`, ask, 'It must be a function.');
  }
}

function questionsNamed(names: readonly string[]): readonly string[] {
  return names.map((name) => `questions.${name}`);
}

/** A word such as `'no'` would count as yes where only its truth is tested. */
function yesOrNo(name: string, answer: unknown): boolean {
  if (answer === true) return true;
  if (answer === false || answer === undefined) return false;
  throw wrongAnswer(name, 'neither true nor false', 'Answer true, or false.');
}

function textOrNone(name: string, answer: unknown): string | undefined {
  if (answer === undefined || typeof answer === 'string') return answer;
  throw wrongAnswer(name, 'no text', 'Answer a text, or undefined for none.');
}

/** The answer itself is not shown, as it may be a secret. */
function wrongAnswer(name: string, what: string, hint: string): UsageError {
  return new UsageError('option-invalid', `the answer of 'questions.${name}' is ${what}`, { hint });
}
