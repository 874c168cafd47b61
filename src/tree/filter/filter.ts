/** An ordered list of filter rules over byte paths. */
import { hasWildcard, WildPattern } from './wildmatch.ts';

const SLASH = 0x2f;
const STAR = 0x2a;

/** One rule of an ordered list, as in rsync. */
export interface FilterRule {
  readonly action: 'include' | 'exclude';
  /** As written: a leading `/` anchors it, a trailing `/` limits it to directories. */
  readonly pattern: Uint8Array;
  /**
   * The side it applies to: what is sent (hide, show), what is deleted (protect, risk), or both.
   */
  readonly side: 'both' | 'sender' | 'receiver';
  /** Modifier `/`: matched against the absolute path, not the path inside the tree. */
  readonly absolute: boolean;
  /** Modifier `!`: the rule applies to what the pattern does not match. */
  readonly negated: boolean;
  /** Modifier `p`: ignored inside directories that are being deleted. */
  readonly perishable: boolean;
}

/**
 * The part of a path that a rule matches: the last component, the last few, any tail, or all of it.
 */
type Reach = 'name' | 'any-tail' | 'whole' | number;

interface CompiledRule {
  readonly rule: FilterRule;
  readonly literal: Uint8Array;
  readonly wild: WildPattern | undefined;
  readonly reach: Reach;
  readonly directoryOnly: boolean;
  /**
   * Bytes put before the path, so that a leading double star with a slash matches at the top too.
   */
  readonly lead: Uint8Array;
  /** The pattern ends in a triple star: a directory matches as if its name ended in a slash. */
  readonly slashAfterDirectory: boolean;
}

/** What a filter needs besides its rules. */
export interface FilterOptions {
  /** Rules of the other side are ignored. Default `sender`. */
  readonly side?: 'sender' | 'receiver';
  /** Absolute path of the tree's root, for rules with the modifier `/`. Default `/`. */
  readonly rootPath?: Uint8Array;
}

/** A rule without modifiers, as `--exclude PATTERN` and `--include PATTERN` make them. */
export function plainRule(
  action: FilterRule['action'],
  pattern: Uint8Array,
  side: FilterRule['side'] = 'both',
): FilterRule {
  return { action, pattern, side, absolute: false, negated: false, perishable: false };
}

/**
 * An ordered list of rules over byte paths: the first matching rule decides; without one, a path is
 * included. An excluded directory hides everything below it: the caller must not look inside.
 *
 * @see rsync(1), FILTER RULES (3.5.0)
 */
export class Filter {
  readonly #rules: readonly CompiledRule[];

  constructor(rules: readonly FilterRule[], options: FilterOptions = {}) {
    const side = options.side ?? 'sender';
    const rootPath = options.rootPath ?? Buffer.from('/');
    this.#rules = rules
      .filter((rule) => rule.side === 'both' || rule.side === side)
      .map((rule) => compile(rule, rootPath));
  }

  /** True when no rule could exclude anything. */
  get isEmpty(): boolean {
    return this.#rules.length === 0;
  }

  /** @param path - relative to the tree's root, components joined by `/` */
  verdict(path: Uint8Array, isDirectory: boolean): 'include' | 'exclude' {
    return this.firstMatch(path, isDirectory)?.action ?? 'include';
  }

  /** The rule that decides about a path, if there is one. */
  firstMatch(path: Uint8Array, isDirectory: boolean): FilterRule | undefined {
    for (const compiled of this.#rules) {
      const isMatch = matches(compiled, path, isDirectory);
      if (isMatch !== compiled.rule.negated) return compiled.rule;
    }
    return undefined;
  }
}

function compile(rule: FilterRule, rootPath: Uint8Array): CompiledRule {
  const written = rule.pattern;
  const directoryOnly = written.length > 1 && written.at(-1) === SLASH;
  const bare = directoryOnly ? written.subarray(0, -1) : written;
  const anchored = bare[0] === SLASH;
  const slashCount = bare.reduce((count, byte) => count + Number(byte === SLASH), 0);
  const isWild = hasWildcard(bare);
  const deepAt = isWild ? Buffer.from(bare).indexOf('**') : -1;
  const endsDeep = deepAt !== -1 && bare.length >= 3 && bare.subarray(-3).every((b) => b === STAR);
  const literal = anchored ? bare.subarray(1) : bare;

  const looksAtPath = slashCount > 0 || deepAt !== -1;
  let reach: Reach = 'whole';
  if (!looksAtPath) reach = 'name';
  else if (!anchored && deepAt === -1) reach = slashCount + 1;
  else if (!anchored && deepAt > 0) reach = 'any-tail';

  let lead: Uint8Array = Buffer.alloc(0);
  if (rule.absolute && looksAtPath && rootPath.length > 1) {
    lead = Buffer.concat([rootPath.subarray(1), Buffer.from('/')]);
  } else if (deepAt === 0) {
    lead = Buffer.from('/');
  }
  return {
    rule,
    literal,
    wild: isWild ? new WildPattern(literal) : undefined,
    reach,
    directoryOnly,
    lead,
    slashAfterDirectory: endsDeep,
  };
}

function matches(rule: CompiledRule, path: Uint8Array, isDirectory: boolean): boolean {
  if (rule.directoryOnly && !isDirectory) return false;
  const addSlash = isDirectory && rule.slashAfterDirectory;
  let text = path;
  if (rule.lead.length > 0 || addSlash) {
    text = Buffer.concat([rule.lead, path, Buffer.from(addSlash ? '/' : '')]);
  }
  switch (rule.reach) {
    case 'name':
      return matchesFrom(rule, text, text.lastIndexOf(SLASH) + 1);
    case 'whole':
      return matchesFrom(rule, text, 0);
    case 'any-tail':
      for (let start = 0; ;) {
        if (matchesFrom(rule, text, start)) return true;
        const slash = text.indexOf(SLASH, start);
        if (slash === -1) return false;
        start = slash + 1;
      }
    default: {
      const start = tailStart(text, rule.reach);
      return start !== -1 && matchesFrom(rule, text, start);
    }
  }
}

/** Start of the last `count` components, or -1 when there are fewer. */
function tailStart(text: Uint8Array, count: number): number {
  let at = text.length;
  for (let left = count; left > 0; left--) {
    if (at < 0) return -1;
    at = at === 0 ? -1 : text.lastIndexOf(SLASH, at - 1);
    if (at === -1) return left === 1 ? 0 : -1;
  }
  return at + 1;
}

function matchesFrom(rule: CompiledRule, text: Uint8Array, start: number): boolean {
  if (rule.wild !== undefined) return rule.wild.matches(text, start);
  const { literal } = rule;
  if (text.length - start !== literal.length) return false;
  for (let i = 0; i < literal.length; i++) if (text[start + i] !== literal[i]) return false;
  return true;
}
