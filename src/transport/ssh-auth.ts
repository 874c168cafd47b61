import type { AnyAuthMethod, AuthenticationType, NextAuthHandler, Prompt } from 'ssh2';
import { LoginError } from '../errors.ts';
import type { Identities } from './ssh-identities.ts';

/** Wrong passwords are forgiven as often as ssh does. */
const PASSWORD_ATTEMPTS = 3;

/** A server may ask several questions (a one-time code), but not without end. */
const PROMPTS_MAX = 10;
const PROMPT_CHARS_MAX = 200;

type AskPassword = (prompt: string) => Promise<string | undefined>;

/** The order of attempts of one login: keys, then a person's answers if there is a person. */
export class LoginAttempts {
  readonly #user: string;
  readonly #shownName: string;
  readonly #identities: Identities;
  readonly #askPassword: AskPassword | undefined;
  #serverMethods: readonly string[] = [];
  #started = false;
  #keysTried = false;
  #questions = 0;
  #gaveUp = false;

  constructor(
    login: { readonly user: string; readonly shownName: string },
    identities: Identities,
    askPassword: AskPassword | undefined,
  ) {
    this.#user = login.user;
    this.#shownName = login.shownName;
    this.#identities = identities;
    this.#askPassword = askPassword;
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

  /** @returns the error of a login that used up all its ways */
  refused(): LoginError {
    const { offered, notes } = this.#identities;
    const accepts = this.#serverMethods.length === 0 ? 'nothing' : this.#serverMethods.join(', ');
    const tried = offered.length === 0 ? 'no key was found' : `tried: ${offered.join(', ')}`;
    const why = notes.length === 0 ? '' : `; not used: ${notes.join('; ')}`;
    return new LoginError(
      'login-refused',
      `${this.#shownName}: the server refused the login (it accepts ${accepts}; ${tried}${why})`,
      {
        hint: `Check the user name, install your key with \`ssh-copy-id ${this.#shownName}\`, or name the right key as IdentityFile in ~/.ssh/config. Keys on hardware need \`--rsh ssh\`.`,
        facts: { methods: this.#serverMethods.join(','), keysTried: offered.length },
      },
    );
  }

  async #choose(): Promise<AnyAuthMethod | false> {
    const username = this.#user;
    if (!this.#started) {
      this.#started = true;
      return { type: 'none', username }; // tells what the server accepts
    }
    if (this.#offers('publickey') && !this.#keysTried && !this.#identities.isEmpty) {
      this.#keysTried = true;
      return { type: 'agent', username, agent: this.#identities };
    }
    const ask = this.#askPassword;
    if (ask === undefined || this.#gaveUp || this.#questions >= PASSWORD_ATTEMPTS) return false;
    this.#questions++;
    if (this.#offers('keyboard-interactive')) {
      return {
        type: 'keyboard-interactive',
        username,
        prompt: (...[, , , prompts, finish]) => {
          this.#answer(prompts, ask).then(finish, () => {
            finish([]);
          });
        },
      };
    }
    if (!this.#offers('password')) return false;
    const password = await ask(`${this.#shownName}: password`);
    return password === undefined ? false : { type: 'password', username, password };
  }

  #offers(method: string): boolean {
    return this.#serverMethods.includes(method);
  }

  /** Answers in the order of the prompts; what is not answered is empty, and the login will fail. */
  async #answer(prompts: readonly Prompt[], ask: AskPassword): Promise<string[]> {
    const answers: string[] = [];
    for (const { prompt } of prompts.slice(0, PROMPTS_MAX)) {
      const text = prompt.slice(0, PROMPT_CHARS_MAX).trim().replace(/:$/, '');
      const answer = this.#gaveUp ? undefined : await ask(`${this.#shownName}: ${text}`);
      if (answer === undefined) this.#gaveUp = true;
      answers.push(answer ?? '');
    }
    return answers;
  }
}
