import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EcsyncError } from '../../../src/errors.ts';
import { parseConfig } from '../../../src/vault/config/config.ts';
import {
  addRemote,
  formatNewConfig,
  removeRemote,
  setRemoteUrl,
  setConfDigest,
} from '../../../src/vault/config/config-edit.ts';

// The content of config.toml, the errors for mistakes in it, and that edits preserve a person's
// text.

const HEAD = `version = 1\nconf_sha256 = "${'a'.repeat(64)}"\n`;

function failure(action: () => unknown): EcsyncError {
  try {
    action();
  } catch (error) {
    if (error instanceof EcsyncError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('parseConfig()', () => {
  it('reads remotes in their order, and numbers as names', () => {
    const text = `${HEAD}[[remotes]]\nname = "b"\nurl = "h:b"\n[[remotes]]\nname = "1"\nurl = "h:1"\n`;
    expect(parseConfig(text, 'c').remotes.map(({ name }) => name)).toEqual(['b', '1']);
  });

  it('reads a password file or command', () => {
    expect(parseConfig(`${HEAD}[password]\nfile = "pw"\n`, 'c').password).toEqual({ file: 'pw' });
    expect(parseConfig(`${HEAD}[password]\ncommand = ["a", "b c"]\n`, 'c').password).toEqual({
      command: ['a', 'b c'],
    });
  });

  it.each([
    [`${HEAD}sourse = "/x"`, "unknown key 'sourse'", 'Did you mean source?'],
    [`${HEAD}[pasword]\nfile = "x"`, "unknown key 'pasword'", 'Did you mean password?'],
    [`${HEAD}[password]\nfil = "x"`, "unknown key 'password.fil'", 'Did you mean file?'],
    [
      `${HEAD}[[remotes]]\nname = "a"\nurl = "h:p"\nlink = "x"`,
      "unknown key 'remotes.0.link'",
      'name, url',
    ],
    [`${HEAD}zzzzzzzzz = 1`, "unknown key 'zzzzzzzzz'", 'Known here: version'],
  ])('suggests what an unknown key was meant to be: %j', (text, message, hint) => {
    const error = failure(() => parseConfig(text, 'config.toml'));
    expect(error.code).toBe('config-unknown-key');
    expect(error.exitCode).toBe(2);
    expect(error.message).toContain(message);
    expect(error.hint).toContain(hint);
  });

  it.each([
    ['conf_sha256 = "x"', "'version' is missing"],
    ['version = 2\nconf_sha256 = "x"', "'version' must be 1"],
    ['version = 1', "'conf_sha256' is missing"],
    ['version = 1\nconf_sha256 = "abc"', 'must be 64 hex digits'],
    [`${HEAD}[password]\nfile = ""`, 'must not be empty'],
    [`${HEAD}[password]\nfile = "a"\ncommand = "b"`, 'must have one of'],
    [`${HEAD}[password]\ncommand = []`, "'password.command'"],
    [`${HEAD}[[remotes]]\nname = "-x"\nurl = "h:p"`, 'letters, digits'],
    [`${HEAD}[[remotes]]\nname = "a"`, "'remotes.0.url' is missing"],
    [
      `${HEAD}[[remotes]]\nname = "a"\nurl = "h:p"\n[[remotes]]\nname = "a"\nurl = "h:q"`,
      'appears twice',
    ],
    [`${HEAD}[remotes]\nname = "a"`, '[[remotes]]'],
    [`${HEAD}layout = "gcm"`, 'must be "reverse"'],
    [`${HEAD}layout = "reverse"\nreverse_time_shift_sec = 5`, 'must be 0 or 10'],
    [`${HEAD}reverse_time_shift_sec = 10`, 'without layout = "reverse"'],
    [`${HEAD}flags = ["HKDF", "Hkdf"]`, 'must be a feature flag'],
    [`${HEAD}flags = "HKDF"`, 'must be a list of texts'],
    [`${HEAD}flags = ["HKDF"]\nlong_name_max = 100`, 'belong together'],
    [`${HEAD}flags = ["LongNameMax"]`, 'belong together'],
    [`${HEAD}flags = ["LongNameMax"]\nlong_name_max = 0`, 'from 1 to 255'],
    [`${HEAD}long_name_max = 100`, "without 'flags'"],
    [`${HEAD}conf = ""`, 'must not be empty'],
    ['version = = 1', 'line 1'],
    ['version = 1\nversion = 1', 'line 2'],
  ])('says what is wrong: %j', (text, message) => {
    const error = failure(() => parseConfig(text, 'config.toml'));
    expect(error.code).toBe('config-invalid');
    expect(error.message).toContain('config.toml');
    expect(error.message).toContain(message);
  });

  it('never throws anything but a UsageError, whatever the text', () => {
    const line = fc.constantFrom(
      'version = 1',
      '[password]',
      '[[remotes]]',
      'name = "a"',
      '__proto__ = 1',
      '[',
      'x.y.z = [1, {a = 2}]',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.array(line).map((lines) => lines.join('\n')),
        ),
        (text) => {
          try {
            parseConfig(text, 'c');
          } catch (error) {
            expect(error).toBeInstanceOf(EcsyncError);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('formatNewConfig()', () => {
  const basis = { confSha256: 'b'.repeat(64), keyCheck: 'c'.repeat(32) };

  it('is the inverse of parseConfig()', () => {
    const all = {
      conf: '../.gocryptfs.reverse.conf',
      flags: ['HKDF', 'LongNameMax'],
      long_name_max: 62,
      layout: 'reverse',
      reverse_time_shift_sec: 0,
      source: '/a "b"\\c',
    } as const;
    const { confSha256: conf_sha256, keyCheck: key_check } = basis;
    const written = { version: 1, conf_sha256, key_check, remotes: [] };
    expect(parseConfig(formatNewConfig({ ...basis, ...all }), 'c')).toEqual({ ...written, ...all });
    expect(parseConfig(formatNewConfig(basis), 'c')).toEqual(written);
  });
});

describe('setConfDigest()', () => {
  it('changes the digest and nothing else', () => {
    const text = `# conf_sha256 = "x"\r\nversion = 1\r\nconf_sha256='${'0'.repeat(64)}' # mine\r\n`;
    const edited = setConfDigest(text, 'c', 'f'.repeat(64));
    expect(edited).toBe(text.replace(`'${'0'.repeat(64)}'`, `"${'f'.repeat(64)}"`));
  });

  it('refuses to edit a text it could damage', () => {
    const text = `version = 1\n"conf_sha256" = "${'0'.repeat(64)}"\n`;
    expect(failure(() => setConfDigest(text, 'c', 'f'.repeat(64))).code).toBe('config-edit');
  });
});

describe('addRemote(), setRemoteUrl() and removeRemote()', () => {
  const written = [
    '# mine',
    'version = 1',
    `conf_sha256 = "${'0'.repeat(64)}" # do not touch`,
    '',
    '[[remotes]] # first',
    'name = "usb"',
    'url = "/mnt/usb"',
    '# about the server',
    '[[remotes]]',
    'name = "srv"',
    "url = 'u@h:p'",
    '',
  ];

  it.each(['\n', '\r\n'])('keep comments, order and line endings %j', (newline) => {
    const text = written.join(newline);
    const added = addRemote(text, 'c', { name: 'x', url: 'h:"quoted"\\p' });
    expect(added.startsWith(text)).toBe(true);
    expect(parseConfig(added, 'c').remotes.at(-1)).toEqual({ name: 'x', url: 'h:"quoted"\\p' });
    expect(removeRemote(added, 'c', 'x').trimEnd()).toBe(text.trimEnd());

    const without = removeRemote(text, 'c', 'usb');
    expect(without).toBe([...written.slice(0, 4), ...written.slice(7)].join(newline));
  });

  it.each(['\n', '\r\n'])('leave everything but the address, line endings %j', (newline) => {
    const table = ['[[remotes]]', 'name = "home"', "  url = 'u@h:p' # at home", 'encrypt = false'];
    const rest = [
      '[remotes.push]',
      'timeout = 3',
      '',
      '[[remotes]]',
      'name = "b"',
      'url = "h:q"',
      '',
    ];
    const text = [...HEAD.trimEnd().split('\n'), ...table, ...rest].join(newline);
    const url = 'ssh://me@new/./a "quoted" \\ $& path';
    const moved = setRemoteUrl(text, 'c', { name: 'home', url });
    expect(parseConfig(moved, 'c').remotes).toEqual([
      { name: 'home', url, encrypt: false, push: { timeout: 3 } },
      { name: 'b', url: 'h:q' },
    ]);
    expect(setRemoteUrl(moved, 'c', { name: 'home', url: 'u@h:p' })).toBe(
      text.replace("'u@h:p'", '"u@h:p"'),
    );
    expect(failure(() => setRemoteUrl(text, 'c', { name: 'x', url })).code).toBe('no-remote');
    const tricky = `${HEAD}[[remotes]]\nname = "a"\nurl = """h:p"""\n`;
    expect(failure(() => setRemoteUrl(tricky, 'c', { name: 'a', url })).code).toBe('config-edit');
  });

  it('refuse an existing name, and an unknown one', () => {
    const text = written.join('\n');
    expect(failure(() => addRemote(text, 'c', { name: 'usb', url: 'h:p' })).code).toBe(
      'remote-exists',
    );
    const missing = failure(() => removeRemote(text, 'c', 'sry'));
    expect(missing.code).toBe('no-remote');
    expect(missing.hint).toContain('usb, srv');
  });

  it('refuse to edit a text they could damage', () => {
    const inline = `${HEAD}remotes = [{name = "a", url = "h:p"}]\n`;
    expect(failure(() => removeRemote(inline, 'c', 'a')).code).toBe('config-edit');
    expect(failure(() => addRemote(inline, 'c', { name: 'b', url: 'h:p' })).code).toBe(
      'config-edit',
    );
    const tricky = `${HEAD}[[remotes]]\nname = "a"\nurl = """h:\n[[remotes]]\nx"""\n[[remotes]]\nname = "b"\nurl = "h:q"\n`;
    expect(failure(() => removeRemote(tricky, 'c', 'b')).code).toBe('config-edit');
  });

  it('undo each other for any url', () => {
    const empty = formatNewConfig({ confSha256: 'b'.repeat(64), keyCheck: 'c'.repeat(32) });
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), (url) => {
        const added = addRemote(empty, 'c', { name: 'r', url });
        expect(parseConfig(added, 'c').remotes).toEqual([{ name: 'r', url }]);
        expect(removeRemote(added, 'c', 'r').trimEnd()).toBe(empty.trimEnd());
      }),
    );
  });
});
