import { describe, expect, it } from 'vitest';
import { contentRules, previewRules, pruneRules, sweepRules } from '../../src/sync/deletion.ts';

const shown = (rules: ReturnType<typeof sweepRules>): string[] =>
  rules.map(({ action, pattern }) => `${action} ${Buffer.from(pattern).toString('latin1')}`);
const TEMP = '/gocryptfs.longname.ecsync-tmp.name';
const everything = { excluded: [], within: [] };

describe('what a server may delete', () => {
  it('keeps diriv and .name files in the first pass only', () => {
    expect(shown(contentRules(everything))).toEqual([
      `protect ${TEMP}`,
      'protect gocryptfs.diriv',
      'protect gocryptfs.longname.*.name',
    ]);
    expect(shown(pruneRules(everything))).toEqual([`risk ${TEMP}/**`]);
    expect(shown(previewRules(everything))).toEqual([`protect ${TEMP}`]);
    expect(shown(sweepRules())).toEqual([`risk ${TEMP}/**`, 'protect *']);
  });

  it('keeps what the filters exclude, long names with their .name file', () => {
    const scope = { excluded: ['A/B', 'A/gocryptfs.longname.X'], within: [] };
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
    const rules = shown(contentRules({ excluded: [], within: ['A/B'] }));
    expect(rules.slice(-3)).toEqual(['risk /A/B', 'risk /A/B/**', 'protect *']);
  });

  it('protects whole folders when too many objects are excluded', () => {
    const excluded = Array.from({ length: 10_001 }, (_, i) => `A/${i}`);
    expect(shown(previewRules({ excluded, within: [] }))).toEqual([
      `protect ${TEMP}`,
      'protect /A/*',
    ]);
  });
});
