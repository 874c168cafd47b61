/** Judges the criteria of a Match line of ssh_config. */
import { matchesPatternList } from './pattern.ts';

/** What the criteria of a Match line compare with. */
export interface MatchFacts {
  /** The host after HostName so far. */
  readonly host: string;
  readonly originalHost: string;
  readonly user: string;
  readonly localUser: string;
  readonly tag: string;
  /** The files are read for the second time, with the host's final name. */
  readonly finalPass: boolean;
}

/** What a Match line came to. */
export interface MatchOutcome {
  readonly matched: boolean;
  /** It asks for the second pass. */
  readonly wantsFinal: boolean;
  /** A criterion that only ssh itself can judge, and that decides. */
  readonly unjudged: string | undefined;
}

/** Criteria that run a command, look at the network, or at what this ssh is. */
const UNJUDGED = new Set(['exec', 'localnetwork', 'command', 'sessiontype', 'version']);

/**
 * Judges the criteria of a Match line: all must hold. A criterion that cannot be judged counts only
 * when those before it hold, as ssh skips a command then.
 *
 * @returns a sentence when the line makes no sense
 * @see ssh_config(5) Match; OpenSSH readconf.c match_cfg_line() (9.2)
 */
export function judgeMatch(words: readonly string[], facts: MatchFacts): MatchOutcome | string {
  let criteria = 0;
  let matched = true;
  let wantsFinal = false;
  let unjudged: string | undefined;
  for (let i = 0; i < words.length; i++) {
    const [, bang = '', name = '', inline] = /^(!?)([^=]*)(?:=(.*))?$/s.exec(words[i] ?? '') ?? [];
    const negated = bang !== '';
    const criterion = name.toLowerCase();
    if (criterion === 'all') {
      // ssh itself lets one stand before it, meant for “final”.
      if (criteria > 1 || i + 1 < words.length) return 'Match all stands beside other criteria';
      return { matched: matched && !negated, wantsFinal, unjudged };
    }
    criteria++;
    let holds: boolean;
    if (criterion === 'final' || criterion === 'canonical') {
      wantsFinal ||= criterion === 'final' && !negated;
      holds = facts.finalPass;
    } else {
      const patterns = inline ?? words[++i];
      if (patterns === undefined) return `Match ${name} has no value`;
      const judged = judge(criterion, patterns, facts);
      if (judged === undefined) return `Match ${name} means nothing`;
      if (judged === 'unjudged') {
        if (matched) unjudged ??= criterion;
        continue;
      }
      holds = judged;
    }
    if (holds === negated) matched = false;
  }
  return words.length === 0 ? 'Match has no criteria' : { matched, wantsFinal, unjudged };
}

function judge(
  criterion: string,
  patterns: string,
  facts: MatchFacts,
): boolean | 'unjudged' | undefined {
  if (UNJUDGED.has(criterion)) return 'unjudged';
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
