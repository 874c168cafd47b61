// Goal: the filter decides about every path exactly as stock rsync does.
// Method: random trees and random ordered rules, the included set compared with `rsync -n`.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UsageError } from '../../../src/errors.ts';
import { Filter } from '../../../src/tree/filter/filter.ts';
import { FilterRules } from '../../../src/tree/filter/filter-syntax.ts';
import { LocalTree } from '../../../src/tree/local/local-tree.ts';
import { walk } from '../../../src/tree/walk.ts';
import { WildPattern } from '../../../src/tree/filter/wildmatch.ts';

const FOLDERS = [
  '',
  'a',
  'a/b',
  'a/b/c',
  'a/ab',
  'b',
  'b/a',
  'b/a/b',
  'ab',
  'ab/b1',
  'x.d',
  'x.d/a',
];
const FILES = ['a1', 'b1', 'ab1', 'x.o', 'a.o', 'B-', '1', '[a]', 'a\\b', 'abba', '*', '?z'];
const PATTERN_PIECES = [
  ...[
    'a',
    'b',
    'c',
    'ab',
    '1',
    'x',
    '.o',
    '.d',
    '/',
    '/',
    '*',
    '**',
    '***',
    '?',
    '[ab]',
    '[!a]',
    '[^b1]',
  ],
  ...[
    '[a-c]',
    '[[:alpha:]]',
    '[[:digit:][:upper:]]',
    '\\',
    '[]a]',
    '[',
    ']',
    '[a-',
    '[\\]]',
    '-',
    'B',
    '[[:no:]]',
  ],
];

let work = '';
beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), 'ecsync-filter-'));
  for (const folder of FOLDERS) {
    mkdirSync(join(work, 'src', folder), { recursive: true });
    for (const file of FILES) writeFileSync(join(work, 'src', folder, `${file}f`), '');
    writeFileSync(join(work, 'src', folder, 'x.o'), '');
    writeFileSync(join(work, 'src', folder, '1'), '');
  }
  mkdirSync(join(work, 'dst'));
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

function stockIncludes(options: readonly string[]): string[] {
  const args = ['-rn', '-8', '--out-format=%n', ...options, `${work}/src/`, `${work}/dst/`];
  const result = spawnSync('rsync', args, { encoding: 'utf8' });
  expect(result.stderr).toBe('');
  const names = result.stdout.split('\n').filter((line) => line !== '' && line !== './');
  return names.map((name) => name.replace(/\/$/, '')).sort();
}

async function ourIncludes(rules: FilterRules): Promise<string[]> {
  const filter = new Filter(rules.rules, { rootPath: Buffer.from(`${work}/src`) });
  const names: string[] = [];
  for await (const entries of walk(new LocalTree(join(work, 'src'), { filter }))) {
    for (const entry of entries) names.push(Buffer.from(entry.path).toString());
  }
  return names.filter((name) => name !== '.').sort();
}

type Option = readonly ['exclude' | 'include' | 'filter', string];

const pattern = fc
  .array(fc.constantFrom(...PATTERN_PIECES), { minLength: 1, maxLength: 6 })
  .map((pieces) => pieces.join(''));
const filterKind = fc.constantFrom(
  '- ',
  '+ ',
  'H ',
  'S ',
  'P ',
  '-! ',
  '-s ',
  '-r ',
  'exclude ',
  'include,! ',
  '-p ',
  'hide,',
);
const option: fc.Arbitrary<Option> = fc.oneof(
  fc.tuple(fc.constantFrom('exclude', 'include'), pattern),
  fc.tuple(
    fc.constant('filter'),
    fc.tuple(filterKind, pattern).map(([kind, text]) => `${kind} ${text}`.replace(/ {2}/, ' ')),
  ),
  fc.tuple(
    fc.constant('filter'),
    pattern.map((text) => `-/ ${work}/src/${text}`),
  ),
);

describe('Filter', () => {
  it('includes the same paths as stock rsync', async () => {
    const everything = (await ourIncludes(new FilterRules())).length;
    let telling = 0;
    const property = fc.asyncProperty(
      fc.array(option, { minLength: 1, maxLength: 4 }),
      async (options) => {
        const rules = new FilterRules();
        for (const [kind, text] of options) rules[kind](text);
        const args = options.map(([kind, text]) => `--${kind}=${text}`);
        const ours = await ourIncludes(rules);
        expect(ours).toEqual(stockIncludes(args));
        if (ours.length < everything) telling++;
      },
    );
    await fc.assert(property, { numRuns: 400 });
    expect(telling).toBeGreaterThan(100);
  }, 240_000);

  it('reads rule files, merged files and clearing like stock rsync', async () => {
    const list = join(work, 'list');
    writeFileSync(list, '# a comment\n; another\n\n+ a1f\r*.o\n- b1f\n');
    const merged = join(work, 'merged');
    writeFileSync(merged, `# comment\n+ /a/\n- /*/\nmerge,- ${list}\n`);
    for (const args of [
      [`--exclude-from=${list}`],
      [`--include-from=${list}`, '--exclude=*f'],
      [`--filter=. ${merged}`],
      ['--exclude=a', '--exclude=!', '--exclude=b'],
      ['--filter=- a', '--filter=clear', '--filter=exclude_b'],
    ]) {
      const rules = new FilterRules();
      for (const arg of args) {
        const [, name, text = ''] = /^--([a-z-]+)=(.*)$/.exec(arg) ?? [];
        if (name === 'exclude-from') rules.excludeFrom(text);
        else if (name === 'include-from') rules.includeFrom(text);
        else if (name === 'filter') rules.filter(text);
        else rules.exclude(text);
      }
      expect(await ourIncludes(rules)).toEqual(stockIncludes(args));
    }
  });

  it('applies only the rules of its own side', () => {
    const rules = new FilterRules();
    for (const text of ['P kept', 'H hidden']) rules.filter(text);
    const sent = new Filter(rules.rules);
    const deleted = new Filter(rules.rules, { side: 'receiver' });
    expect(sent.verdict(Buffer.from('x/kept'), false)).toBe('include');
    expect(sent.verdict(Buffer.from('x/hidden'), false)).toBe('exclude');
    expect(deleted.verdict(Buffer.from('x/kept'), false)).toBe('exclude');
    expect(deleted.verdict(Buffer.from('x/hidden'), false)).toBe('include');
  });

  it.each([
    [':e .rules', 'filter-unsupported'],
    ['dir-merge .rules', 'filter-unsupported'],
    ['-C', 'filter-invalid'],
    ['-x user.*', 'filter-unsupported'],
    ['constructor x', 'filter-unsupported'],
    ['', 'filter-invalid'],
    ['- ', 'filter-invalid'],
    ['! now', 'filter-invalid'],
    ['merge /no/such/file', 'filter-file-unreadable'],
  ])('refuses the rule %j with %s', (text, code) => {
    let caught: unknown;
    try {
      new FilterRules().filter(text);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(UsageError);
    expect(caught).toHaveProperty('code', code);
  });

  it('ignores the byte order mark of a rule file, and refuses UTF-16', () => {
    const file = join(work, 'marked');
    const patterns = (text: Uint8Array): string[] => {
      writeFileSync(file, text);
      const rules = new FilterRules();
      rules.excludeFrom(file);
      rules.excludeLines(text);
      return rules.rules.map(({ pattern }) => Buffer.from(pattern).toString());
    };
    const marked = Buffer.from('\ufeff*.tmp\r\n*.log\n');
    expect(patterns(marked)).toEqual(['*.tmp', '*.log', '*.tmp', '*.log']);
    const utf16 = Buffer.from('\ufeff*.tmp\n', 'utf16le');
    expect(() => patterns(utf16)).toThrow(/is UTF-16 text/);
    expect(() => new FilterRules().excludeLines(utf16)).toThrow(/is UTF-16 text/);
    expect(() => patterns(utf16.swap16())).toThrow(/is UTF-16 text/);
  });

  it('refuses rule files that include themselves', () => {
    const file = join(work, 'endless');
    writeFileSync(file, `merge ${file}\n`);
    expect(() => new FilterRules().filter(`. ${file}`)).toThrow(/endlessly/);
  });
});

describe('WildPattern', () => {
  it('agrees with an exhaustive search', () => {
    const text = fc.array(fc.constantFrom('a', 'b', '/'), { maxLength: 9 }).map((c) => c.join(''));
    const wild = fc
      .array(fc.constantFrom('a', 'b', '/', '?', '*', '**'), { maxLength: 8 })
      .map((c) => c.join(''));
    const property = fc.property(wild, text, (source, subject) => {
      const regex = source.replaceAll(/\*{2,}|\*|\?/g, (w) =>
        w === '?' ? '[^/]' : w === '*' ? '[^/]*' : '.*',
      );
      const expected = new RegExp(`^${regex}$`).test(subject);
      expect(new WildPattern(Buffer.from(source)).matches(Buffer.from(subject))).toBe(expected);
    });
    fc.assert(property, { numRuns: 5000 });
  });

  it('ends quickly on a pattern that invites endless retries', () => {
    const source = Buffer.from(`${'*a'.repeat(40)}b`);
    expect(new WildPattern(source).matches(Buffer.alloc(4000, 'a'))).toBe(false);
  });
});
