/** Chooses the attempts of one ssh login in their order. */
import type { AnyAuthMethod, AuthenticationType, NextAuthHandler, Prompt } from 'ssh2';
import { LoginError } from '../../errors.ts';
import type { LoginMethod, SshHostConfig } from './config/config.ts';
import type { LoginKeys } from './identities.ts';
import type { LoginMemory } from './memory.ts';

/** Characters that could move the cursor, change colours or reverse the direction of text. */
const CONTROL_CHARS = /[\p{C}\p{Zl}\p{Zp}]+/gu;

/** A server may ask several questions (such as a one-time code), but not endlessly. */
const PROMPTS_MAX = 10;
const PROMPT_CHARS_MAX = 200;

type AskPassword = (prompt: string) => Promise<string | undefined>;

/** The hint for a server that ended a login after a few keys (MaxAuthTries of sshd). */
export function tooManyKeysHint(shownName: string): string {
  return `The server allows only a few attempts, and the keys of the ssh agent come first. In ~/.ssh/config, under \`Host\` of ${shownName}, name the right key with \`IdentityFile ~/.ssh/KEY\`, and add \`IdentitiesOnly yes\` so that no other key is offered.`;
}

/** The configuration of one login. */
export interface LoginAttemptOptions {
  readonly config: Pick<SshHostConfig, 'user' | 'port' | 'loginMethods' | 'passwordPrompts'>;
  readonly shownName: string;
  readonly memory: LoginMemory;
  /** Absent if nobody can be asked. */
  readonly askPassword: AskPassword | undefined;
}

/**
 * Chooses the attempts of one login: the configuration's methods in order, each while the server
 * offers it and something is left to try.
 */
export class LoginAttempts {
  readonly #options: LoginAttemptOptions;
  readonly #identities: LoginKeys;
  #serverMethods: readonly string[] = [];
  #started = false;
  #keysTried = false;
  #memoryTried = false;
  readonly #promptCounts = { 'keyboard-interactive': 0, password: 0 };
  #gaveUp = false;

  constructor(options: LoginAttemptOptions, identities: LoginKeys) {
    this.#options = options;
    this.#identities = identities;
  }

  /** ssh2 calls this for the first attempt and after each refused one. */
  readonly next = (
    methodsLeft: AuthenticationType[] | null,
    _partialSuccess: boolean | null,
    done: NextAuthHandler,
  ): void => {
    if (methodsLeft !== null) this.#serverMethods = methodsLeft;
    // The typings omit `false`, which means that nothing is left to try.
    const attempt = done as (method: AnyAuthMethod | false) => void;
    this.#choose().then(attempt, () => {
      attempt(false);
    });
  };

  /**
   * @param isCutShort - the server ended the login before every attempt was made
   * @returns the error for a refused login
   */
  refused(isCutShort = false): LoginError {
    const { offered, notes } = this.#identities;
    const { shownName, config } = this.#options;
    const port = config.port === 22 ? '' : `-p ${config.port} `;
    const accepts = this.#serverMethods.length === 0 ? 'nothing' : this.#serverMethods.join(', ');
    const tried = offered.length === 0 ? 'no key was found' : `tried: ${offered.join(', ')}`;
    const why = notes.length === 0 ? '' : `; not used: ${notes.join('; ')}`;
    const hint =
      isCutShort && offered.length > 1
        ? tooManyKeysHint(shownName)
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
    const username = this.#options.config.user;
    if (!this.#started) {
      this.#started = true;
      return { type: 'none', username }; // the answer lists the methods that the server accepts
    }
    for (const method of this.#options.config.loginMethods) {
      const attempt = this.#serverMethods.includes(method)
        ? await this.#attempt(method)
        : undefined;
      if (attempt !== undefined) return attempt;
    }
    return false;
  }

  /** @returns undefined if nothing is left to try by this method */
  async #attempt(method: LoginMethod): Promise<AnyAuthMethod | undefined> {
    const { config, memory, shownName } = this.#options;
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
    const ask = this.#options.askPassword;
    if (ask === undefined || this.#gaveUp) return undefined;
    if (this.#promptCounts[method] >= config.passwordPrompts) return undefined;
    this.#promptCounts[method]++;
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
      username: this.#options.config.user,
      prompt: (...[, , , prompts, finish]) => {
        this.#answer(prompts, ask).then(finish, () => {
          finish([]);
        });
      },
    };
  }

  /** The server's question, marked as such so that it cannot pass for one of ours. */
  #serverQuestion(prompt: string): string {
    const text = prompt.replace(CONTROL_CHARS, ' ').trim().slice(0, PROMPT_CHARS_MAX);
    return `the server ${this.#options.shownName} asks: ${text.replace(/\s*:$/, '')}`;
  }

  /**
   * The answers in the order of the prompts. A missing answer is empty, and the login will fail.
   */
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
