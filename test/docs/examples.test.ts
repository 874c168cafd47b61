// Goal: no example of the documents rots. Each is run as it stands there, or a table says why it cannot be.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DOCUMENTS, fencesOf, type Fence } from './support/documents.ts';
import {
  EXAMPLES,
  LANGUAGES_NOT_RUN,
  nameOf,
  NOT_RUN,
  strangePrograms,
} from './support/examples.ts';
import { Place } from './support/place.ts';

const fences = DOCUMENTS.flatMap(fencesOf);
const shell = inLanguage('sh').filter((fence) => !NOT_RUN.has(nameOf(fence)));

let place: Place;
beforeAll(async () => {
  place = await Place.make();
});
afterAll(() => place.remove());

function inLanguage(language: string): readonly Fence[] {
  return fences.filter((fence) => fence.language === language);
}

function named(fence: Fence): readonly [string, Fence] {
  return [nameOf(fence), fence];
}

describe('the tables', () => {
  it('name examples that are there, each by a name of its own', () => {
    const names = fences.filter(({ language }) => !LANGUAGES_NOT_RUN.has(language)).map(nameOf);
    const told = [...EXAMPLES.keys(), ...NOT_RUN.keys()];
    expect(told.filter((name) => !names.includes(name))).toEqual([]);
    expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([]);
  });

  it('know the language of every example', () => {
    const known = ['sh', 'toml', ...LANGUAGES_NOT_RUN.keys()];
    expect(fences.filter(({ language }) => !known.includes(language)).map(nameOf)).toEqual([]);
  });
});

describe('commands', () => {
  it.each(shell.map(named))('%s', async (name, fence) => {
    expect(strangePrograms(fence), 'may be started in a test; else NOT_RUN names it').toEqual([]);
    const { code = 0, answers, before } = EXAMPLES.get(name) ?? {};
    const ended = await place.run(fence.text, { before, answers: answers?.(place.masterkey) });
    expect(ended.code, ended.output).toBe(code);
  });
});

describe('configurations', () => {
  it.each(inLanguage('toml').map(named))('%s', async (name, fence) => {
    const [, file] = /^# (\S+config\.toml)\n/.exec(fence.text) ?? [];
    const { before = '' } = EXAMPLES.get(name) ?? {};
    const lines = [
      before,
      file === '.ecsync/config.toml' ? IN_VAULT : IN_HOME,
      'ecsync config check',
    ];
    const ended = await place.run(lines.join('\n').replace('TEXT', () => fence.text));
    expect(file, 'the first line names the file').toBeDefined();
    expect(ended.code, ended.output).toBe(0);
  });
});

/** Writes a machine's configuration. */
const IN_HOME = `mkdir -p ~/.config/ecsync
cat >~/.config/ecsync/config.toml <<'END'
TEXT
END`;

/** Puts an example behind the keys at the top of a vault's file, in the place of its remotes. */
const IN_VAULT = `sed -i '/^\\[\\[remotes/,$d' .ecsync/config.toml
cat >>.ecsync/config.toml <<'END'
TEXT
END`;
