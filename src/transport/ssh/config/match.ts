/** Evaluates the criteria of a Match line of ssh_config. */
import { matchesPatternList } from './pattern.ts';

/** The values that the criteria of a Match line compare with. */
export interface MatchFacts {
  /** The host, with the HostName lines so far applied. */
  readonly host: string;
  readonly originalHost: string;
  readonly user: string;
  readonly localUser: string;
  readonly tag: string;
  /** True in the second pass over the files, with the host's final name. */
  readonly finalPass: boolean;
}

/** The result of a Match line. */
export interface MatchOutcome {
  readonly matched: boolean;
  /** The line requires a second pass. */
  readonly wantsFinal: boolean;
  /** A decisive criterion that only ssh itself can evaluate. */
  readonly undecided: string | undefined;
}

/** Criteria that run a command, or depend on the network or on the ssh program. */
const UNDECIDED = new Set(['exec', 'localnetwork', 'command', 'sessiontype', 'version']);

/**
 * Evaluates the criteria of a Match line, all of which must hold. A criterion that cannot be
 * evaluated counts only if those before it hold, since ssh would skip a command otherwise.
 *
 * @returns an error message if the line is invalid
 * @see ssh_config(5) Match; OpenSSH readconf.c match_cfg_line() (9.2)
 */
export function evaluateMatch(words: readonly string[], facts: MatchFacts): MatchOutcome | string {
  let criteria = 0;
  let matched = true;
  let wantsFinal = false;
  let undecided: string | undefined;
  for (let i = 0; i < words.length; i++) {
    const [, bang = '', name = '', inline] = /^(!?)([^=]*)(?:=(.*))?$/s.exec(words[i] ?? '') ?? [];
    const negated = bang !== '';
    const criterion = name.toLowerCase();
    if (criterion === 'all') {
      // ssh itself allows one criterion before it, intended for “final”.
      if (criteria > 1 || i + 1 < words.length) return 'Match all is combined with other criteria';
      return { matched: matched && !negated, wantsFinal, undecided };
    }
    criteria++;
    let holds: boolean;
    if (criterion === 'final' || criterion === 'canonical') {
      wantsFinal ||= criterion === 'final' && !negated;
      holds = facts.finalPass;
    } else {
      const patterns = inline ?? words[++i];
      if (patterns === undefined) return `Match ${name} has no value`;
      const result = evaluate(criterion, patterns, facts);
      if (result === undefined) return `Match ${name} is unknown`;
      if (result === 'undecided') {
        if (matched) undecided ??= criterion;
        continue;
      }
      holds = result;
    }
    if (holds === negated) matched = false;
  }
  return words.length === 0 ? 'Match has no criteria' : { matched, wantsFinal, undecided };
}

function evaluate(
  criterion: string,
  patterns: string,
  facts: MatchFacts,
): boolean | 'undecided' | undefined {
  if (UNDECIDED.has(criterion)) return 'undecided';
  if (criterion === 'tagged') {
    return facts.tag === '' ? patterns === '' : matchesPatternList(facts.tag, patterns.split(','));
  }
  const lowerPatterns = patterns.toLowerCase().split(',');
  switch (criterion) {
    case 'host':
      return matchesPatternList(facts.host.toLowerCase(), lowerPatterns);
    case 'originalhost':
      return matchesPatternList(facts.originalHost.toLowerCase(), lowerPatterns);
    case 'user':
      return matchesPatternList(facts.user, patterns.split(','));
    case 'localuser':
      return matchesPatternList(facts.localUser, patterns.split(','));
    default:
      return undefined;
  }
}
