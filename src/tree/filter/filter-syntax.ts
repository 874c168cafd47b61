/** Parses filter rules in rsync's own syntax. */
import { readFileSync } from 'node:fs';
import { byteOrderMarkOf, withoutUtf8Mark } from '../../bytes/byte-order-mark.ts';
import { UsageError } from '../../errors.ts';
import { reasonOf } from '../../system-errors.ts';
import { plainRule, type FilterRule } from './filter.ts';

/** Limit of nested merge files, which stops files that include each other. */
const MERGE_DEPTH_MAX = 16;
const HASH = 0x23;
const SEMICOLON = 0x3b;

const LONG_NAMES: Readonly<Record<string, string>> = {
  clear: '!',
  'dir-merge': ':',
  exclude: '-',
  hide: 'H',
  include: '+',
  merge: '.',
  protect: 'P',
  risk: 'R',
  show: 'S',
};

type Action = FilterRule['action'];
type Side = FilterRule['side'];

const KINDS: Readonly<Record<string, { readonly action: Action; readonly side: Side }>> = {
  '-': { action: 'exclude', side: 'both' },
  '+': { action: 'include', side: 'both' },
  H: { action: 'exclude', side: 'sender' },
  S: { action: 'include', side: 'sender' },
  P: { action: 'exclude', side: 'receiver' },
  R: { action: 'include', side: 'receiver' },
};

/**
 * Collects filter rules in the order of the command line: call one method per option. All texts are
 * in rsync's own syntax. Strings are taken as UTF-8, files byte by byte.
 */
export class FilterRules {
  #rules: FilterRule[] = [];

  /** The rules so far. */
  get rules(): readonly FilterRule[] {
    return this.#rules;
  }

  /**
   * `--exclude PATTERN`: a leading `+ ` or `- ` decides instead, and a lone `!` clears all rules.
   *
   * @throws {UsageError} `filter-invalid` — empty pattern
   */
  exclude(pattern: string | Uint8Array): void {
    this.#addPattern(toBytes(pattern), 'exclude');
  }

  /** `--include PATTERN`; otherwise like {@link exclude}. */
  include(pattern: string | Uint8Array): void {
    this.#addPattern(toBytes(pattern), 'include');
  }

  /**
   * `--exclude-from FILE`: one pattern a line. Blank lines, lines that start with `#` or `;`, and a
   * UTF-8 byte order mark are ignored.
   *
   * @throws {UsageError} `filter-file-unreadable` — also for UTF-16 text
   */
  excludeFrom(file: string): void {
    for (const line of linesOf(file)) this.#addPattern(line, 'exclude');
  }

  /** The lines of a file that the caller has read; otherwise like {@link excludeFrom}. */
  excludeLines(content: Uint8Array): void {
    for (const line of linesIn(content)) this.#addPattern(line, 'exclude');
  }

  /** `--include-from FILE`; otherwise like {@link excludeFrom}. */
  includeFrom(file: string): void {
    for (const line of linesOf(file)) this.#addPattern(line, 'include');
  }

  /**
   * `--filter RULE`: `- `, `+ `, `P `, `R `, `H `, `S ` or their long names, modifiers `/ ! s r p`,
   * `merge FILE`, and `!` or `clear`.
   *
   * @throws {UsageError} `filter-unsupported` — a rule kind or modifier that ecsync does not
   *   support
   * @throws {UsageError} `filter-invalid` — not a rule
   * @throws {UsageError} `filter-file-unreadable` — a merged file cannot be read
   */
  filter(rule: string | Uint8Array): void {
    this.#addRule(toBytes(rule), 0);
  }

  #addPattern(line: Uint8Array, fallback: Action): void {
    if (isText(line, '!')) {
      this.#rules = [];
      return;
    }
    const hasPrefix = (line[0] === 0x2d || line[0] === 0x2b) && line[1] === 0x20;
    const action = !hasPrefix ? fallback : line[0] === 0x2b ? 'include' : 'exclude';
    const pattern = hasPrefix ? line.subarray(2) : line;
    if (pattern.length === 0) throw invalid(line, 'it has no pattern');
    this.#rules.push(plainRule(action, pattern));
  }

  #addRule(line: Uint8Array, depth: number): void {
    const { kind, modifiers, pattern } = splitRule(line);
    if (kind === '!') {
      if (modifiers !== '' || pattern.length > 0)
        throw invalid(line, 'a rule that clears takes no pattern');
      this.#rules = [];
      return;
    }
    if (pattern.length === 0) throw invalid(line, 'it has no pattern');
    if (kind === '.') {
      this.#merge(line, modifiers, Buffer.from(pattern).toString(), depth);
      return;
    }
    this.#rules.push(toRule(line, kind, modifiers, pattern));
  }

  #merge(line: Uint8Array, modifiers: string, file: string, depth: number): void {
    if (depth >= MERGE_DEPTH_MAX) throw invalid(line, 'its files include each other endlessly');
    if (modifiers !== '' && modifiers !== '-' && modifiers !== '+') throw unsupported(line);
    for (const mergedLine of linesOf(file)) {
      if (modifiers === '') this.#addRule(mergedLine, depth + 1);
      else this.#rules.push(plainRule(modifiers === '+' ? 'include' : 'exclude', mergedLine));
    }
  }
}

interface SplitRule {
  /** One letter, also for rules with a long name. */
  readonly kind: string;
  readonly modifiers: string;
  readonly pattern: Uint8Array;
}

/** `KIND[,]MODIFIERS[space or _]PATTERN`. */
function splitRule(line: Uint8Array): SplitRule {
  const shown = Buffer.from(line).toString('latin1');
  const word = /^[a-z-]+(?=[ _,]|$)/.exec(shown)?.[0];
  const long = word !== undefined && Object.hasOwn(LONG_NAMES, word) ? LONG_NAMES[word] : undefined;
  const kind = long ?? shown.charAt(0);
  const after = shown.slice(long === undefined ? 1 : (word ?? '').length);
  const modifiers = /^,?([^ _]*)/.exec(after);
  const skipped = shown.length - after.length + (modifiers?.[0].length ?? 0);
  return { kind, modifiers: modifiers?.[1] ?? '', pattern: line.subarray(skipped + 1) };
}

/** @throws {UsageError} `filter-unsupported` */
function toRule(
  line: Uint8Array,
  kind: string,
  modifiers: string,
  pattern: Uint8Array,
): FilterRule {
  const meaning = Object.hasOwn(KINDS, kind) ? KINDS[kind] : undefined;
  if (meaning === undefined || /[^/!srp]/.test(modifiers)) throw unsupported(line);
  const forSender = modifiers.includes('s');
  const forReceiver = modifiers.includes('r');
  let { side } = meaning;
  if (side === 'both' && forSender !== forReceiver) side = forSender ? 'sender' : 'receiver';
  return {
    action: meaning.action,
    pattern,
    side,
    absolute: modifiers.includes('/'),
    negated: modifiers.includes('!'),
    perishable: modifiers.includes('p'),
  };
}

/** @throws {UsageError} `filter-file-unreadable` */
function linesOf(file: string): Uint8Array[] {
  let content: Uint8Array;
  try {
    content = readFileSync(file);
  } catch (error) {
    throw new UsageError(
      'filter-file-unreadable',
      `cannot read the filter file ${file}: ${reasonOf(error)}`,
      {
        hint: 'Check the name and the permissions of the file.',
        cause: error,
      },
    );
  }
  if (byteOrderMarkOf(content) === 'utf-16') {
    throw new UsageError('filter-file-unreadable', `the filter file ${file} is UTF-16 text`, {
      hint: SAVE_AS_UTF8,
    });
  }
  return linesIn(content);
}

/**
 * Lines of rules, ended by LF or CR, without blank lines and comments. UTF-16 is refused: names are
 * compared as bytes, so a rule in UTF-16 would never match.
 *
 * @throws {UsageError} `filter-invalid` — UTF-16 text
 */
function linesIn(text: Uint8Array): Uint8Array[] {
  if (byteOrderMarkOf(text) === 'utf-16') {
    throw new UsageError('filter-invalid', 'it is UTF-16 text', { hint: SAVE_AS_UTF8 });
  }
  const content = withoutUtf8Mark(text);
  const lines: Uint8Array[] = [];
  let start = 0;
  for (let at = 0; at <= content.length; at++) {
    if (at < content.length && content[at] !== 0x0a && content[at] !== 0x0d) continue;
    const line = content.subarray(start, at);
    if (line.length > 0 && line[0] !== HASH && line[0] !== SEMICOLON) lines.push(line);
    start = at + 1;
  }
  return lines;
}

const SAVE_AS_UTF8 = 'Save it as UTF-8.';

function toBytes(text: string | Uint8Array): Uint8Array {
  return typeof text === 'string' ? Buffer.from(text) : text;
}

function isText(bytes: Uint8Array, text: string): boolean {
  return Buffer.from(text).equals(bytes);
}

function invalid(line: Uint8Array, why: string): UsageError {
  return new UsageError(
    'filter-invalid',
    `the filter rule "${Buffer.from(line).toString()}" is not valid: ${why}`,
    {
      hint: 'Write for example "- *.tmp", "+ /keep/" or "merge FILE".',
    },
  );
}

function unsupported(line: Uint8Array): UsageError {
  return new UsageError(
    'filter-unsupported',
    `the filter rule "${Buffer.from(line).toString()}" is of a kind that ecsync does not support`,
    {
      hint: 'Use include, exclude, hide, show, protect, risk, merge or clear, with the modifiers / ! s r p. For rule files inside folders (dir-merge) use --ignore-files.',
    },
  );
}
