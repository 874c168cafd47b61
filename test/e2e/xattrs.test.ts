import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startSshd } from '../support/sshd.ts';
import {
  type Bench,
  type CliResult,
  ecsync,
  initVault,
  makeBench,
  summaryOf,
} from './support/cli.ts';
import { fsck, withMount } from './support/stock.ts';
import { makeXattrTree, removeXattr, setXattr, xattrsOf } from './support/xattrs.ts';

/** Extended attributes, from setfattr on the source to getfattr on a mount of stock gocryptfs. */
let bench: Bench;
beforeEach(async () => {
  bench = await makeBench();
});
afterEach(() => bench.remove());

/** After this time a new file is old enough to be recognised by its times. */
const SETTLED_MS = 2100;
const inSource = (...parts: readonly string[]): string => path.join(bench.source, ...parts);

/** Attributes of every kind that ext4 holds. */
function makeTree(): void {
  makeXattrTree(bench.source);
  writeFileSync(inSource('empty'), '');
  setXattr(inSource('file'), 'user.gocryptfs.x', 'of another copy');
  setXattr(inSource('empty'), `user.${'n'.repeat(170)}`, 'longest name');
  setXattr(inSource('empty'), 'user.1', '1');
  // Files written around the time of a push are sent again if anything about them changes.
  execFileSync('find', [bench.source, '-exec', 'touch', '-h', '-d', '2020-01-01', '{}', '+']);
}

function push(...words: readonly string[]): Promise<CliResult> {
  const common = ['-C', bench.source, '-X', '-H', '--delete', '--passfile', bench.passfile];
  return ecsync(['push', ...common, ...words]);
}

function mountedXattrs(): Promise<string[]> {
  return withMount(bench.copy, bench.passfile, (mountpoint) =>
    Promise.resolve(xattrsOf(mountpoint)),
  );
}

async function expectEqual(): Promise<void> {
  expect(await mountedXattrs()).toEqual(xattrsOf(bench.source));
  expect(await fsck(bench.copy, bench.passfile)).toMatchObject({ code: 0 });
}

describe('-X into a local folder, by the rsync of this machine', { timeout: 120_000 }, () => {
  it.each([30, 31, 32])(
    'stock shows the same attributes at protocol %i, also after changes',
    async (protocol) => {
      makeTree();
      await initVault(bench);
      // A file whose inode changes in the second in which it was made may have other content too.
      await delay(SETTLED_MS);
      const words = ['--protocol', String(protocol), '-i', bench.copy];
      const first = await push(...words);
      expect(first).toMatchObject({ code: 0, stderr: '' });
      expect(xattrsOf(bench.source).length).toBe(13 + 1 + 5); // the hard link's are listed twice
      await expectEqual();

      const second = await push(...words);
      expect(second).toMatchObject({ code: 0, stderr: '', stdout: '' });

      setXattr(inSource('empty'), 'user.1', '2');
      removeXattr(inSource('folder'), 'user.folder');
      setXattr(inSource('folder', 'sub'), 'user.new', 'value');
      removeXattr(inSource('file'), 'user.binary');
      appendFileSync(inSource('read-only'), 'more');
      const preview = await push('-n', ...words);
      const third = await push(...words);
      expect(third).toMatchObject({ code: 0, stderr: '' });
      const lines = third.stdout.trimEnd().split('\n').sort();
      expect(lines).toEqual([
        '.d........x folder/',
        '.d........x folder/sub/',
        '.f........x empty',
        '.f........x file',
        '<f.st...... read-only',
        'hf........x folder/link',
      ]);
      expect(preview.stdout.split('\n').sort()).toEqual(third.stdout.split('\n').sort());
      await expectEqual();
      expect((await push(...words)).stdout).toBe('');
    },
  );

  it('keeps stored attributes without -X, and repairs differing ones with -X', async () => {
    makeTree();
    await initVault(bench);
    await push(bench.copy);
    setXattr(inSource('empty'), 'user.1', '2');
    const without = ['push', '-C', bench.source, '-H', '-i', '--passfile', bench.passfile];
    expect(await ecsync([...without, bench.copy])).toMatchObject({ code: 0, stdout: '' });
    for (const object of readdirSync(bench.copy, { withFileTypes: true })) {
      if (!object.isSymbolicLink())
        setXattr(path.join(bench.copy, object.name), 'user.foreign', 'x');
    }
    expect(await push(bench.copy)).toMatchObject({ code: 0 });
    await expectEqual();
    expect(xattrsOf(bench.copy).join('\n')).not.toContain('user.foreign');
  });

  it('stores values as long as stock can read, and reports a longer one', async () => {
    const other = await makeBench('/dev/shm');
    try {
      Object.assign(bench, { source: other.source, copy: other.copy });
      mkdirSync(bench.source);
      writeFileSync(inSource('big'), 'x');
      setXattr(inSource('big'), 'user.longest', Buffer.alloc(65_503, 1));
      setXattr(inSource('big'), 'user.long', Buffer.alloc(40_000, 2));
      await initVault(bench);
      expect(await push(bench.copy)).toMatchObject({ code: 0, stderr: '' });
      await expectEqual();
      const kept = xattrsOf(bench.source);
      setXattr(inSource('big'), 'user.too-long', Buffer.alloc(65_504, 3));
      setXattr(inSource('big'), `user.${'n'.repeat(171)}`, 'x');
      const result = await push('--json', bench.copy);
      expect(summaryOf(result)).toMatchObject({ exitCode: 23, error: { code: 'partial' } });
      expect(result.stdout).toContain('xattr-value-too-long');
      expect(result.stdout).toContain('xattr-name-unsupported');
      expect(await mountedXattrs()).toEqual(kept);
    } finally {
      await other.remove();
    }
  });

  it('reports what it leaves out: attributes of symlinks', async () => {
    makeTree();
    setXattr(inSource('symlink'), 'trusted.link', 'x');
    await initVault(bench);
    const { code, stderr } = await push(bench.copy);
    expect(code).toBe(0);
    expect(stderr).toContain('extended attributes of 1 symlinks or special files were left out');
  });

  it('reads only the attributes of pushed objects', async () => {
    makeTree();
    mkdirSync(inSource('closed', 'inside'), { recursive: true });
    setXattr(inSource('closed'), 'user.x', 'x');
    await initVault(bench);
    expect(await push('--exclude=/closed', bench.copy)).toMatchObject({ code: 0, stderr: '' });
    rmSync(inSource('closed'), { recursive: true });
    await expectEqual();
  });

  it('takes only user attributes without root, and keeps stored ones that it cannot read', async () => {
    makeTree();
    chmodSync(bench.dir, 0o755);
    await initVault(bench);
    const nobody = 65_534;
    execFileSync('chown', ['-R', `${nobody}:${nobody}`, bench.source, bench.passfile]);
    mkdirSync(bench.copy);
    chownSync(bench.copy, nobody, nobody);
    const words = ['push', '-C', bench.source, '-X', '-H', '--delete', '--json'];
    const asNobody = (): Promise<CliResult> =>
      ecsync([...words, '--passfile', bench.passfile, bench.copy], { uid: nobody });
    expect(await asNobody()).toMatchObject({ code: 0, stderr: '' });
    const user = xattrsOf(bench.source).filter((line) => / user\./.test(line));
    expect(await mountedXattrs()).toEqual(user);

    rmSync(inSource('plain'));
    chmodSync(inSource('empty'), 0o200);
    const second = await asNobody();
    expect(second.code).toBe(23);
    expect(second.stdout).toContain('cannot read the extended attributes of empty');
    expect(summaryOf(second)).toMatchObject({ filesDeleted: 0 });
    expect(await mountedXattrs()).toEqual(user);
  });

  it.each(['reverse', 'xchacha'])('works in layout %s', async (layout) => {
    makeTree();
    const init = ['init', bench.source, '--scryptn', '10', '--layout', layout];
    await ecsync([...init, '--passfile', bench.passfile]);
    expect(await push(bench.copy)).toMatchObject({ code: 0, stderr: '' });
    await expectEqual();
    expect(await push('-i', bench.copy)).toMatchObject({ code: 0, stdout: '' });
  });
});

describe('-X over ssh', { timeout: 120_000 }, () => {
  it('stock shows the same attributes, and a second push sends nothing', async () => {
    makeTree();
    await initVault(bench);
    const sshd = await startSshd();
    try {
      const words = ['push', '-C', bench.source, '-X', '-i', '--passfile', bench.passfile];
      const destination = `ssh://${sshd.user}@127.0.0.1:${sshd.port}${bench.copy}`;
      const env = { HOME: sshd.home };
      const first = await ecsync([...words, destination], { env });
      expect(first).toMatchObject({ code: 0 });
      expect(first.stderr).toBe(
        'warning: 1 file has several names (hard links), and each is stored as a file of its own; -H keeps them together\n',
      );
      await expectEqual();
      const second = await ecsync([...words, destination], { env });
      expect(second).toMatchObject({ code: 0, stdout: '', stderr: '' });
    } finally {
      await sshd.stop();
    }
  });
});

describe('-X where it cannot work', () => {
  it.each([
    ['getfattr', 'Install the package attr'],
    ['xargs', 'Install the package findutils'],
    ['rsync', 'Install rsync here'],
  ])('says that %s is missing', async (program, advice) => {
    makeTree();
    await initVault(bench);
    const bin = path.join(bench.dir, 'bin');
    mkdirSync(bin);
    for (const name of ['getfattr', 'xargs', 'rsync'].filter((one) => one !== program)) {
      symlinkSync(execFileSync('which', [name]).toString().trim(), path.join(bin, name));
    }
    const words = ['push', '-C', bench.source, '-X', '--passfile', bench.passfile, bench.copy];
    const result = await ecsync(words, { env: { PATH: bin } });
    expect(result.code).toBe(2);
    expect(result.stderr).toContain(`needs the program ${program}`);
    expect(result.stderr).toContain(advice);
  });

  it('refuses protocols below 30', async () => {
    makeTree();
    await initVault(bench);
    const result = await push('--protocol', '29', bench.copy);
    expect(result.code).toBe(2);
    expect(result.stderr).toContain('protocol 29 cannot carry extended attributes');
  });
});
