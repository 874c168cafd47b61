import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { effectiveValues, variableOf } from '../../src/library/settings/push-config.ts';
import { addConditionOptions, addPushOptions } from '../../src/cli/settings/push-options.ts';
import { attributeName, limitsOf, settingsOf } from '../../src/options/option-table.ts';
import type { OptionSpec } from '../../src/options/option-table.ts';
import { isPushKey, PUSH_KEYS, PUSH_OPTIONS } from '../../src/options/push-options.ts';
import { pushSchema } from '../../src/vault/config/config-tables.ts';
import * as v from 'valibot';

const entries: readonly (readonly [string, OptionSpec])[] = Object.entries(PUSH_OPTIONS);
const names = (of: (spec: OptionSpec) => string | undefined): readonly string[] =>
  entries.map(([, spec]) => of(spec)).filter((name) => name !== undefined);

/** What commander makes of the words after `push`. */
function parsed(...words: readonly string[]): Readonly<Record<string, unknown>> {
  const command = new Command('push').exitOverride();
  command.configureOutput({ writeErr: () => undefined });
  addConditionOptions(command);
  addPushOptions(command);
  return command.parse(words, { from: 'user' }).opts();
}

/** A text that is a value of every option that takes one, where its parser does not want another. */
const SAMPLES: Readonly<Record<string, string>> = {
  ...{ if_older_than: '2d', max_age: '3d', min_age: '1m', max_time: '1h', bwlimit: '2M' },
  ...{ max_delete: '10%', max_changed: '7', presets: 'os', protocol: '31', block_size: '4K' },
};
const sampleOf = (key: string): string => SAMPLES[key] ?? '5';
const words = (key: string, { flags, takes }: OptionSpec): readonly string[] => {
  const long = /--[a-z-]+/.exec(flags)?.[0] ?? '';
  return takes === undefined ? [long] : [long, sampleOf(key)];
};

describe('the table of push options', () => {
  it.each(entries)('%s has the long option of that name', (key, { flags }) => {
    const long = /(?:^|, )--(?:no-)?([a-z-]+)(?: <[a-z]+>)?$/.exec(flags)?.[1];
    expect(long?.replaceAll('-', '_')).toBe(key);
  });

  it.each(entries)('%s says with < > that it takes a value', (_, { flags, takes }) => {
    expect(flags.endsWith('>')).toBe(takes !== undefined);
  });

  it('gives no setting, limit or letter twice', () => {
    for (const of of [
      ({ setting }: OptionSpec) => setting,
      ({ limit }: OptionSpec) => limit,
      ({ flags }: OptionSpec) => /^-[a-zA-Z](?=,)/.exec(flags)?.[0],
    ]) {
      const found = names(of);
      expect(found).toHaveLength(new Set(found).size);
    }
  });

  it('makes of the command line what settings and limits say', () => {
    const line = entries.flatMap(([key, spec]) => words(key, spec));
    const options = parsed(...line);
    expect(settingsOf(PUSH_OPTIONS, options)).toEqual({
      ...{ dryRun: true, delete: true, deleteExcluded: true, forgetMounts: true },
      ...{ maxDelete: { percent: 10 }, maxChanged: 7, keep: ['5'], intoNonEmpty: true },
      ...{ newCopy: true, appendOnly: true, checksum: true, hardLinks: true, xattrs: true },
      ...{ blockSize: 4096, numericIds: true, owner: false, group: false, perms: false },
      ...{ devices: false, specials: false, maxBytes: 5, top: 5 },
      ...{ bandwidth: [{ fromMinute: 0, bytesPerSec: 2 * 1024 * 1024 }] },
      ...{ timeoutSec: 5, rsh: '5', rsyncPath: '5', acceptNewHostKey: true, protocolMax: 31 },
    });
    expect(limitsOf(PUSH_OPTIONS, options)).toEqual({
      ...{ ignoreFileName: '.ecsyncignore', excludeCaches: true, oneFileSystem: true },
      ...{ folderTags: [Buffer.from('5')], maxBytes: 5, minBytes: 5 },
      ...{ maxAgeSec: 3 * 86_400, minAgeSec: 60 },
    });
    expect(limitsOf(PUSH_OPTIONS, parsed())).toBeUndefined();
  });

  it('has as many settings as it needs without options', () => {
    expect(settingsOf(PUSH_OPTIONS, parsed())).toEqual(settingsOf(PUSH_OPTIONS, {}));
  });
});

describe('what configuration can set', () => {
  it.each(PUSH_KEYS)('%s means the same as on the command line', (key) => {
    const spec: OptionSpec = PUSH_OPTIONS[key];
    const { takes, flags } = spec;
    const isOn = !flags.startsWith('--no-');
    const value = takes === undefined ? isOn : sampleOf(key);
    expect(v.safeParse(pushSchema, { [key]: value }).success).toBe(true);
    const layer = { shownFrom: 'here', folder: '/', values: { [key]: value } };
    const given = parsed(...words(key, spec));
    const [found] = effectiveValues([layer]);
    // Rules count in every layer, and are no single value.
    if (found !== undefined) expect(found.value).toEqual(given[attributeName(key)]);
    else expect(['exclude', 'include', 'exclude_from', 'filter']).toContain(key);
  });

  it.each(PUSH_KEYS.filter((key) => !('takes' in PUSH_OPTIONS[key])))(
    '%s is taken back by a hidden option',
    (key) => {
      const long = key.replaceAll('_', '-');
      expect(parsed(`--${long}`)[attributeName(key)]).toBe(true);
      expect(parsed(`--no-${long}`)[attributeName(key)]).toBe(false);
    },
  );

  it('is not what only a person says', () => {
    const said = entries.map(([key]) => key).filter((key) => !isPushKey(key));
    for (const key of said) {
      expect(v.safeParse(pushSchema, { [key]: true }).success, key).toBe(false);
    }
    expect(said).toContain('dry_run');
  });

  it('has its variable', () => {
    expect(variableOf('max_delete')).toBe('ECSYNC_MAX_DELETE');
  });
});

describe('a value that is none', () => {
  it.each(entries.filter(([, { takes }]) => takes !== undefined))(
    'an empty one of %s is refused with the option as it is typed',
    (key, spec) => {
      const [long = ''] = words(key, spec);
      expect(() => parsed(`${long}=`)).toThrow(`option '${spec.flags}' argument '' is invalid.`);
    },
  );

  it.each([
    ['--presets', 'os,oss', "There is no preset 'oss'. Did you mean os?"],
    ['--presets', ' , ', 'It must be one of os, dev-caches, or several with commas between.'],
    ['--exclude-if-present', 'a/b', 'It must be the name of a file alone, such as .nobackup.'],
    ['--max-age', 'soon', 'It must be a time such as 30s, 90m, 26h or 2d.'],
  ])('%s %s', (option, text, why) => {
    expect(() => parsed(option, text)).toThrow(why);
  });
});
