/**
 * Matches OpenSSH's patterns: `*` stands for any characters, `?` for one character, and nothing
 * else is special. Takes linear memory and never exponential time.
 *
 * @see ssh_config(5) PATTERNS; OpenSSH match.c match_pattern() (9.2)
 */
export function matchesPattern(text: string, pattern: string): boolean {
  let t = 0;
  let p = 0;
  let star = -1;
  let resume = 0;
  while (t < text.length) {
    const want = pattern.charAt(p);
    if (want === '*') {
      star = p++;
      resume = t;
    } else if (want === '?' || (want !== '' && want === text.charAt(t))) {
      t++;
      p++;
    } else if (star >= 0) {
      // Let the last star match one more character.
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (pattern.charAt(p) === '*') p++;
  return p === pattern.length;
}

/** True if a pattern matches and no pattern with a leading `!` does. */
export function matchesPatternList(text: string, patterns: readonly string[]): boolean {
  let matched = false;
  for (const pattern of patterns) {
    if (pattern.startsWith('!')) {
      if (matchesPattern(text, pattern.slice(1))) return false;
    } else {
      matched ||= matchesPattern(text, pattern);
    }
  }
  return matched;
}
