/** Goal: the right ssh is chosen, with its reason. Method: a table of needs. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pageantPipes } from '../../../src/transport/ssh/config/agent-socket.ts';
import { chooseSsh, unsupportedConfig, type SshNeeds } from '../../../src/transport/ssh/choice.ts';
import { findSystemSsh } from '../../../src/transport/ssh/program.ts';

const NOTHING: SshNeeds = {
  unsupported: [],
  preferSystem: [],
  systemOnlyMethods: [],
  hasKeys: true,
  systemSsh: '/usr/bin/ssh',
};
const program = '/usr/bin/ssh';

describe('chooseSsh()', () => {
  test.each<[string, Partial<SshNeeds>, ReturnType<typeof chooseSsh>]>([
    ['nothing special', {}, { use: 'builtin' }],
    ['no keys, somebody types a password', { hasKeys: false }, { use: 'builtin' }],
    [
      'an option that ssh2 lacks',
      { unsupported: ['ProxyCommand', 'ProxyCommand'] },
      { use: 'system', program, why: 'ProxyCommand' },
    ],
    [
      '… and no other ssh',
      { unsupported: ['ProxyCommand', 'PKCS11Provider'], systemSsh: undefined },
      { use: 'none', missing: 'ProxyCommand, PKCS11Provider' },
    ],
    [
      'a need that the system handles better',
      { preferSystem: ['a CA'] },
      { use: 'system', program, why: 'a CA' },
    ],
    [
      'the same without a system ssh',
      { preferSystem: ['a CA'], systemSsh: undefined },
      { use: 'builtin' },
    ],
    [
      'only a security key',
      { systemOnlyMethods: ['the security key k'], hasKeys: false },
      { use: 'system', program, why: 'the security key k' },
    ],
    [
      'a security key among others',
      { systemOnlyMethods: ['the security key k'] },
      { use: 'builtin', fallback: { program, why: 'the security key k' } },
    ],
    [
      'only a security key, and no other ssh',
      { systemOnlyMethods: ['k'], hasKeys: false, systemSsh: undefined },
      { use: 'builtin' },
    ],
  ])('%s', (_name, needs, choice) => {
    expect(chooseSsh({ ...NOTHING, ...needs })).toEqual(choice);
  });

  test('never ignores an unsupported need, and never chooses a missing program', () => {
    const words = fc.array(fc.constantFrom('a', 'b'), { maxLength: 2 });
    fc.assert(
      fc.property(
        fc.record({
          unsupported: words,
          preferSystem: words,
          systemOnlyMethods: words,
          hasKeys: fc.boolean(),
          systemSsh: fc.constantFrom(undefined, program),
        }),
        (needs) => {
          const choice = chooseSsh(needs);
          if (needs.unsupported.length > 0) {
            expect(choice.use).toBe(needs.systemSsh === undefined ? 'none' : 'system');
          } else expect(choice.use).not.toBe('none');
          if (needs.systemSsh === undefined) expect(choice).not.toHaveProperty('program');
        },
      ),
    );
  });

  test('the refusal names the missing feature and a remedy', () => {
    const error = unsupportedConfig('ProxyCommand');
    expect(error).toMatchObject({ code: 'ssh-config-unsupported', exitCode: 2 });
    expect(error.message).toContain('ProxyCommand');
    expect(error.hint).toContain('--rsh');
  });
});

describe('findSystemSsh()', () => {
  test('finds the first program in PATH, not a folder, not a text file', async () => {
    const dir = await mkdtemp(path.join(tmpdir(), 'ecsync-path-'));
    try {
      await mkdir(path.join(dir, 'a', 'ssh'), { recursive: true });
      for (const name of ['b', 'c', 'd']) await mkdir(path.join(dir, name));
      await writeFile(path.join(dir, 'b', 'ssh'), 'text', { mode: 0o644 });
      await writeFile(path.join(dir, 'c', 'ssh'), '#!/bin/sh\n', { mode: 0o755 });
      await writeFile(path.join(dir, 'd', 'ssh'), '#!/bin/sh\n', { mode: 0o755 });
      const dirs = ['a', 'b', 'c', 'd'].map((name) => path.join(dir, name));
      const find = (PATH: string): Promise<string | undefined> =>
        findSystemSsh({ platform: 'linux', environment: { PATH } });
      expect(await find(dirs.slice(2).join(':'))).toBe(path.join(dir, 'c', 'ssh'));
      expect(await find(dirs.slice(0, 2).join(':'))).toBeUndefined();
      expect(await find(`.::relative`)).toBeUndefined();
      expect(await findSystemSsh({ platform: 'linux', environment: {} })).toBeUndefined();
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });
});

test('finds Pageant’s pipe among others, for this user only', () => {
  const names = ['openssh-ssh-agent', 'pageant.Me.0123abcd', 'pageant.you.4567', 'pageant', 'x'];
  expect(pageantPipes(names, 'me')).toEqual(['\\\\.\\pipe\\pageant.Me.0123abcd']);
  expect(pageantPipes([], 'me')).toEqual([]);
});
