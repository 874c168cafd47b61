/** The warnings and the result that every command reports. */
import type { Host } from './host.ts';

/** One warning, as it is shown and as it stands in the JSON summary. */
export interface Warning {
  readonly code: string;
  readonly message: string;
}

/** How many warnings the summary repeats. Each was shown when it occurred. */
const WARNINGS_MAX = 1000;

/** Shows warnings as they occur, and keeps them for the summary. */
export class Warnings {
  readonly #host: Host;
  readonly #kept: Warning[] = [];
  #count = 0;

  constructor(host: Host) {
    this.#host = host;
  }

  add(warning: Warning): void {
    const { out } = this.#host;
    this.#count += 1;
    if (this.#kept.length < WARNINGS_MAX) this.#kept.push(warning);
    if (out.mode.json) out.event({ type: 'warning', ...warning });
    out.alert(`warning: ${warning.message}`);
  }

  /** At most 1000 of them, then one with the number of the others. */
  list(): readonly Warning[] {
    const more = this.#count - this.#kept.length;
    if (more === 0) return this.#kept;
    return [...this.#kept, { code: 'more-warnings', message: `${more} more warnings` }];
  }
}

/** The result of a command: its exit code, and its own fields of the JSON summary. */
export interface CommandResult {
  readonly exitCode: number;
  readonly figures?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly code: string; readonly message: string; readonly hint?: string };
  /** The error was shown already. */
  readonly shown?: boolean;
}

/** The result of a command that succeeded without details. */
export const DONE: CommandResult = { exitCode: 0 };
