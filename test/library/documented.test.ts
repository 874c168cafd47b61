// Goal: the page about the library names each option of a push that a program can give.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { attributeName } from '../../src/options/option-table.ts';
import { SHARED_PUSH_OPTIONS } from '../../src/options/push-options.ts';

const PAGE = readFileSync(path.resolve(import.meta.dirname, '../../docs/library.md'), 'utf8');
/** About a terminal, or given in another form. */
const NOT_HERE = ['itemizeChanges', 'progress', 'stats', 'passwordFile'];

it('names the options of the table, and no others', () => {
  const [, list = ''] = /Every push, plan and verification takes:\n\n(.*?)\n\n/s.exec(PAGE) ?? [];
  const named = [...list.matchAll(/`(\w+)`/g)].map(([, name]) => name);
  const options = Object.keys(SHARED_PUSH_OPTIONS).map(attributeName);
  expect(named.sort()).toEqual(options.filter((name) => !NOT_HERE.includes(name)).sort());
});
