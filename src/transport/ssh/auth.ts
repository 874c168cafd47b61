/** The order of the attempts of one ssh login. */
import type { AnyAuthMethod, AuthenticationType, NextAuthHandler, Prompt } from 'ssh2';
import { LoginError } from '../../errors.ts';
import type { LoginMethod, SshHostConfig } from './config/config.ts';
import type { Identities } from './identities.ts';
import type { LoginMemory } from './memory.ts';

/** What could move the cursor, change colours, or turn the direction of writing. */
const UNSHOWN = /[\p{C}\p{Zl}\p{Zp}]+/gu;

/** A server may ask several questions (a one-time code), but not without end. */
const PROMPTS_MAX = 10;
const PROMPT_CHARS_MAX = 200;

type AskPassword = (prompt: string) => Promise<string | undefined>;

/** What to do about a server that ends a login after a few keys (MaxAuthTries of sshd). */
export function nameTheKey(shownName: string): string {
  return `The server allows only a few attempts, and the keys of the ssh agent come first. In ~/.ssh/config, under \`Host\` of ${shownName}, name the right key with \`IdentityFile ~/.ssh/KEY\` and offer no other one with \`IdentitiesOnly yes\`.`;
}

/** What one login goes by. */
export interface LoginTerms {
  readonly config: Pick<SshHostConfig, 'user' | 'port' | 'loginMethods' | 'passwordPrompts'>;
  readonly shownName: string;
  readonly memory: LoginMemory;
  /** Absent when nobody can be asked. */
  readonly askPassword: AskPassword | undefined;
}

/**
 * The order of attempts of one login: the configuration's methods, each as long as the server offers
 * it and there is something left to try.
 */
export class LoginAttempts {
  readonly #terms: LoginTerms;
  readonly #identities: Identities;
  #serverMethods: readonly string[] = [];
  #started = false;
  #keysTried = false;
  #memoryTried = false;
  readonly #asked = { 'keyboard-interactive': 0, password: 0 };
  #gaveUp = false;

  constructor(terms: LoginTerms, identities: Identities) {
    this.#terms = terms;
    this.#identities = identities;
  }

  /** ssh2 calls this for the first attempt, and again after each that was refused. */
  readonly next = (
    methodsLeft: AuthenticationType[] | null,
    _partialSuccess: boolean | null,
    done: NextAuthHandler,
  ): void => {
    if (methodsLeft !== null) this.#serverMethods = methodsLeft;
    // The typings leave out that `false` means: nothing left to try.
    const attempt = done as (method: AnyAuthMethod | false) => void;
    this.#choose().then(attempt, () => {
      attempt(false);
    });
  };

  /**
   * @param isCutShort - the server ended the login before every way was tried
   * @returns the error of a login that used up its ways
   */
  refused(isCutShort = false): LoginError {
    const { offered, notes } = this.#identities;
    const { shownName, config } = this.#terms;
    const port = config.port === 22 ? '' : `-p ${config.port} `;
    const accepts = this.#serverMethods.length === 0 ? 'nothing' : this.#serverMethods.join(', ');
    const tried = offered.length === 0 ? 'no key was found' : `tried: ${offered.join(', ')}`;
    const why = notes.length === 0 ? '' : `; not used: ${notes.join('; ')}`;
    const hint =
      isCutShort && offered.length > 1
        ? nameTheKey(shownName)
        : `Check the user name, install your key with \`ssh-copy-id ${port}${shownName}\`, or name the right key as IdentityFile in ~/.ssh/config.`;
    const what = isCutShort ? 'ended the login after too many attempts' : 'refused the login';
    return new LoginError(
      'login-refused',
      `${shownName}: the server ${what} (it accepts ${accepts}; ${tried}${why})`,
      {
        hint,
        facts: { methods: this.#serverMethods.join(','), keysTried: offered.length },
      },
    );
  }

  async #choose(): Promise<AnyAuthMethod | false> {
    const username = this.#terms.config.user;
    if (!this.#started) {
      this.#started = true;
      return { type: 'none', username }; // tells what the server accepts
    }
    for (const method of this.#terms.config.loginMethods) {
      const attempt = this.#serverMethods.includes(method)
        ? await this.#attempt(method)
        : undefined;
      if (attempt !== undefined) return attempt;
    }
    return false;
  }

  /** @returns undefined when nothing is left to try by this method */
  async #attempt(method: LoginMethod): Promise<AnyAuthMethod | undefined> {
    const { config, memory, shownName } = this.#terms;
    const username = config.user;
    if (method === 'publickey') {
      if (this.#keysTried || this.#identities.isEmpty) return undefined;
      this.#keysTried = true;
      return { type: 'agent', username, agent: this.#identities };
    }
    const remembered = memory.passwords.get(shownName);
    if (method === 'password' && remembered !== undefined && !this.#memoryTried) {
      this.#memoryTried = true;
      return { type: 'password', username, password: remembered };
    }
    const ask = this.#terms.askPassword;
    if (ask === undefined || this.#gaveUp) return undefined;
    if (this.#asked[method] >= config.passwordPrompts) return undefined;
    this.#asked[method]++;
    if (method === 'keyboard-interactive') return this.#questions(ask);
    const password = await ask(`${shownName}: password`);
    if (password === undefined) {
      this.#gaveUp = true;
      return undefined;
    }
    memory.passwords.set(shownName, password);
    this.#memoryTried = true;
    return { type: 'password', username, password };
  }

  #questions(ask: AskPassword): AnyAuthMethod {
    return {
      type: 'keyboard-interactive',
      username: this.#terms.config.user,
      prompt: (...[, , , prompts, finish]) => {
        this.#answer(prompts, ask).then(finish, () => {
          finish([]);
        });
      },
    };
  }

  /** In the server's own words, which must not pass for a question of ours. */
  #serverQuestion(prompt: string): string {
    const text = prompt.replace(UNSHOWN, ' ').trim().slice(0, PROMPT_CHARS_MAX);
    return `the server ${this.#terms.shownName} asks: ${text.replace(/\s*:$/, '')}`;
  }

  /** Answers in the order of the prompts; what is not answered is empty, and the login will fail. */
  async #answer(prompts: readonly Prompt[], ask: AskPassword): Promise<string[]> {
    const answers: string[] = [];
    for (const { prompt } of prompts.slice(0, PROMPTS_MAX)) {
      const answer = this.#gaveUp ? undefined : await ask(this.#serverQuestion(prompt));
      if (answer === undefined) this.#gaveUp = true;
      answers.push(answer ?? '');
    }
    return answers;
  }
}
