import { describe, expect, it } from 'vitest';
import { WildPattern } from '../../../../src/tree/filter/wildmatch.ts';
import {
  contentRules,
  previewRules,
  protectForeign,
  pruneRules,
  sweepRules,
} from '../../../../src/sync/push/job/deletion.ts';

const shown = (rules: ReturnType<typeof sweepRules>): string[] =>
  rules.map(({ action, pattern }) => `${action} ${Buffer.from(pattern).toString('latin1')}`);
const TEMP = '/gocryptfs.longname.ecsync-tmp.name';
const STEPS = '/gocryptfs.longname.ecsync-moved-*.name';
const names = { isPlain: false, hasDirIVs: true };
const FOREIGN = shown(protectForeign({ names, within: [] }));
const everything = { names, excluded: [], within: [] };

describe('what a server may delete', () => {
  it('keeps diriv and .name files in the first pass only', () => {
    expect(shown(contentRules(everything))).toEqual([
      `protect ${TEMP}`,
      'protect gocryptfs.diriv',
      'protect gocryptfs.longname.*.name',
      ...FOREIGN,
    ]);
    expect(shown(pruneRules(everything))).toEqual([`risk ${TEMP}/**`, ...FOREIGN]);
    expect(shown(previewRules(everything))).toEqual([`protect ${TEMP}`]);
    expect(shown(sweepRules())).toEqual([`risk ${TEMP}/**`, `risk ${STEPS}`, 'protect *']);
  });

  it('keeps what the filters exclude, long names with their .name file', () => {
    const scope = { names, excluded: ['A/B', 'A/gocryptfs.longname.X'], within: [] };
    for (const rules of [contentRules(scope), pruneRules(scope), previewRules(scope)]) {
      expect(shown(rules)).toEqual(
        expect.arrayContaining([
          'protect /A/B',
          'protect /A/gocryptfs.longname.X',
          'protect /A/gocryptfs.longname.X.name',
        ]),
      );
    }
  });

  it('stays inside the paths a push is limited to', () => {
    const rules = shown(contentRules({ names, excluded: [], within: ['A/B'] }));
    expect(rules.slice(-3)).toEqual(['risk /A/B', 'risk /A/B/**', 'protect *']);
  });

  it('protects whole folders when too many objects are excluded', () => {
    const excluded = Array.from({ length: 10_001 }, (_, i) => `A/${i}`);
    expect(shown(previewRules({ names, excluded, within: [] }))).toEqual([
      `protect ${TEMP}`,
      'protect /A/*',
    ]);
  });

  it('protects only the special files that the layout has', () => {
    const deterministic = { ...everything, names: { isPlain: false, hasDirIVs: false } };
    expect(shown(contentRules(deterministic))).toEqual([
      `protect ${TEMP}`,
      'protect gocryptfs.longname.*.name',
      ...FOREIGN,
    ]);
  });

  it.each([
    ['a folder of somebody', 'photos', false],
    ['another copy, and what is in it', 'B/gocryptfs.conf', false],
    ['a name with a dot', 'a long name of somebody else.jpg', false],
    ['a name with another letter', 'ein-ziemlich-langer-Näme-von-jemandem', false],
    ['a hidden file', '.DS_Store', false],
    ['a long hidden file', '.a-hidden-file-of-somebody.properties', false],
    ['an encrypted name', 'qBnGxh3DnSMc3UKCKEJpLw', true],
    ['one with padding', 'qBnGxh3DnSMc3UKCKEJpLw==', true],
    ['a longer one', 'BJSk_axIAiGDsYW7C9qdahvSB7raag6EbJgzzvul-D7N-5nLYTQmbZU', true],
    ['a hashed one', 'gocryptfs.longname.qBnGxh3DnSMc3UKCKEJpLwqBnGxh3DnSMc3UKCKEJpL', true],
    ['one in a folder', 'qBnGxh3DnSMc3UKCKEJpLw/qBnGxh3DnSMc3UKCKEJpLw', true],
    ['what an interrupted rsync left', '.qBnGxh3DnSMc3UKCKEJpLw.a1B2c3', true],
    [
      'what an interrupted push into a local folder left',
      '.qBnGxh3DnSMc3UKCKEJpLw.d0038682l',
      true,
    ],
    ['the same of a diriv', '.gocryptfs.diriv.a1B2c3', true],
    ['a folder of an interrupted rsync', '.~tmp~', true],
  ])('%s, %s, may be deleted: %s', (_what, name, isRisked) => {
    const rules = protectForeign({ names, within: [] });
    // A folder that is protected is not looked into.
    const parts = name.split('/').map((part) => Buffer.from(part));
    const isDeleted = parts.every((part) => {
      const found = rules.find(({ pattern }) =>
        new WildPattern(Buffer.from(pattern)).matches(part),
      );
      return found?.action !== 'protect';
    });
    expect(isDeleted).toBe(isRisked);
  });
});

describe('what a server may delete where names are plaintext', () => {
  const plain = { names: { isPlain: true, hasDirIVs: false }, excluded: [], within: [] };

  it('treats names that look like special files as ordinary ones', () => {
    expect(shown(contentRules(plain))).toEqual([`protect ${TEMP}`]);
    const excluded = ['gocryptfs.longname.X'];
    expect(shown(previewRules({ ...plain, excluded }))).toEqual([
      `protect ${TEMP}`,
      'protect /gocryptfs.longname.X',
    ]);
    expect(shown(pruneRules(plain, ['A/B/left']))).toEqual([`risk ${TEMP}/**`]);
  });

  it('escapes wildcards, and backslashes only beside them', () => {
    const excluded = ['a*b', 'c?[d]', String.raw`e\f`, String.raw`g\*`];
    expect(shown(previewRules({ ...plain, excluded }))).toEqual([
      `protect ${TEMP}`,
      String.raw`protect /a\*b`,
      String.raw`protect /c\?\[d]`,
      String.raw`protect /e\f`,
      String.raw`protect /g\\\*`,
    ]);
    const within = [String.raw`e\f`];
    expect(shown(contentRules({ ...plain, within })).slice(-3)).toEqual([
      String.raw`risk /e\f`,
      String.raw`risk /e\\f/**`,
      'protect *',
    ]);
  });

  it('protects more than a path, and lets less go, when escapes would make a rule too long', () => {
    const long = Array.from({ length: 30 }, () => '*'.repeat(100)).join('/');
    const [, protect] = shown(previewRules({ ...plain, excluded: [long] }));
    expect(protect).toBe(`protect /${long.replaceAll('*', '?')}`);
    expect(shown(contentRules({ ...plain, within: [long] })).slice(-1)).toEqual(['protect *']);
    expect(shown(contentRules({ ...plain, within: [long] }))).toHaveLength(2);
  });
});
