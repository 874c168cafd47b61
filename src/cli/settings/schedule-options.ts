/** The options of the `schedule` commands. */
import type { Scheduler } from '../../schedule/plan.ts';
import type { CommonOptions } from '../frame/options.ts';

/** Options of `schedule install`. */
export interface InstallOptions extends CommonOptions {
  readonly every?: string;
  readonly at?: readonly string[];
  readonly all?: boolean;
  readonly jitter?: string;
  readonly lowPriority: boolean;
  readonly credential?: string;
  readonly encryptedCredential?: string;
  readonly platform?: Scheduler;
  readonly print?: boolean;
}

/** Options of `schedule run`. */
export interface RunOptions extends CommonOptions {
  readonly every?: string;
  readonly at?: readonly string[];
  readonly ifOlderThan?: string;
  readonly all?: boolean;
  readonly delayUpTo?: number;
}

/** Options of `schedule remove`, `show` and `test`. */
export interface JobOptions extends CommonOptions {
  readonly platform?: Scheduler;
  /** Of `test` only. */
  readonly wait?: string;
}
