// Extended attributes in a restore: the attributes that `push -X` or a mount of stock gocryptfs has
// put into a copy are on the restored files again, as getfattr shows.
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startSshd, type RunningSshd } from '../support/sshd.ts';
import { type Bench, type CliResult, ecsync, initVault, makeBench } from './support/cli.ts';
import { withMount } from './support/stock.ts';
import { makeXattrTree, removeXattr, setXattr, xattrsOf } from './support/xattrs.ts';

const NOBODY = 65_534;
let bench: Bench;
let sshd: RunningSshd;
let remote: string;
let count = 0;

const fresh = (name: string): string => path.join(bench.dir, `${name}-${count++}`);

function run(
  words: readonly string[],
  more: Parameters<typeof ecsync>[1] = {},
): Promise<CliResult> {
  const env = { HOME: sshd.home, ...more.env };
  return ecsync([...words, '--passfile', bench.passfile], { cwd: bench.dir, ...more, env });
}

/** Without the attributes that are restored only on request. */
const ordinary = (lines: readonly string[]): string[] =>
  lines.filter((line) => !line.includes(' security.'));

function makeTree(): void {
  makeXattrTree(bench.source);
  execFileSync('find', [bench.source, '-exec', 'touch', '-h', '-d', '2020-01-01', '{}', '+']);
}

/** `u::rw,u:nobody:r,g::r,m::r,o::r` as Linux stores it. */
function accessList(): Buffer {
  const none = 0xffff_ffff;
  const entries = [
    [1, 6, none],
    [2, 4, NOBODY],
    [4, 4, none],
    [0x10, 4, none],
    [0x20, 4, none],
  ] as const;
  const bytes = Buffer.alloc(4 + 8 * entries.length);
  bytes.writeUInt32LE(2);
  for (const [i, [tag, permissions, id]] of entries.entries()) {
    bytes.writeUInt16LE(tag, 4 + 8 * i);
    bytes.writeUInt16LE(permissions, 6 + 8 * i);
    bytes.writeUInt32LE(id, 8 + 8 * i);
  }
  return bytes;
}

/** All attributes of one file, `name=hex`. */
function attributesOf(file: string): string[] {
  const words = ['-d', '-m', '-', '-e', 'hex', '--absolute-names', file];
  const lines = execFileSync('getfattr', words, { encoding: 'latin1' }).split('\n');
  return lines.filter((line) => line !== '' && !line.startsWith('#')).sort();
}

beforeAll(async () => {
  bench = await makeBench();
  chmodSync(bench.dir, 0o755);
  sshd = await startSshd();
  remote = `ssh://${sshd.user}@127.0.0.1:${sshd.port}${bench.copy}`;
  makeTree();
  await initVault(bench);
  const pushed = await run(['push', '-C', bench.source, '-X', '-H', remote]);
  expect(pushed, pushed.stderr).toMatchObject({ code: 0 });
});
afterAll(async () => {
  await sshd.stop();
  await bench.remove();
});

describe('restore -X', { timeout: 60_000 }, () => {
  it.each([
    ['over ssh', () => remote, ['--protocol', '32']],
    ['over ssh, protocol 30', () => remote, ['--protocol', '30']],
    ['from a local folder', () => bench.copy, []],
  ])('%s: getfattr shows what the source has', async (_how, from, words) => {
    const target = fresh('target');
    const all = ['restore', '-C', bench.source, '-X', '-i', '--from', from(), '--to', target];
    const first = await run([...all, ...words]);
    expect(first).toMatchObject({ code: 0 });
    expect(first.stderr).toContain('1 extended attribute was left out, which can give rights');
    expect(xattrsOf(target)).toEqual(ordinary(xattrsOf(bench.source)));
    expect(statSync(path.join(target, 'file')).nlink).toBe(2);

    // Only files that are equal except for their attributes get these again.
    removeXattr(path.join(target, 'read-only'), 'user.v');
    setXattr(path.join(target, 'folder'), 'user.folder', 'other');
    const second = await run([...all, ...words]);
    expect(second.stdout.split('\n').sort()).toEqual([
      '',
      '.d........x folder/',
      '.f........x read-only',
    ]);
    expect(xattrsOf(target)).toEqual(ordinary(xattrsOf(bench.source)));
    expect((await run([...all, ...words])).stdout).toBe('');
  });

  it('restores a part with its attributes, and removes surplus ones with --overwrite alone', async () => {
    const target = fresh('part');
    const words = [
      'restore',
      '-C',
      bench.source,
      'folder/sub',
      'plain',
      'read-only',
      '-X',
      '--from',
      remote,
    ];
    expect(await run([...words, '--to', target])).toMatchObject({ code: 0 });
    const wanted = ordinary(xattrsOf(bench.source)).filter((line) =>
      /^(read-only|folder|folder\/sub) /.test(line),
    );
    expect(xattrsOf(target)).toEqual(wanted);
    setXattr(path.join(target, 'read-only'), 'user.mine', 'x');
    const more = [...wanted, 'read-only user.mine=0x78'].sort();
    expect(await run([...words, '--to', target])).toMatchObject({ code: 0 });
    expect(xattrsOf(target)).toEqual(more);
    expect(await run([...words, '--to', target, '--overwrite', 'changed'])).toMatchObject({
      code: 0,
    });
    expect(xattrsOf(target)).toEqual(wanted);
  });

  it('restores what a mount of stock gocryptfs has written, and access control lists with --perms', async () => {
    const copy = fresh('mounted');
    execFileSync('rsync', ['-aHX', `${bench.copy}/`, copy]);
    const list = 'system.posix_acl_access';
    const value = accessList();
    const bigValue = Buffer.alloc(100, 'Z');
    await withMount(
      copy,
      bench.passfile,
      (mountpoint) => {
        setXattr(path.join(mountpoint, 'plain'), 'user.by-stock', bigValue);
        setXattr(path.join(mountpoint, 'plain'), list, value);
        return Promise.resolve();
      },
      'writable',
    );
    const restored = async (...words: string[]): Promise<[CliResult, string]> => {
      const target = fresh('target');
      const result = await run([
        'restore',
        '-X',
        ...words,
        '--from',
        copy,
        '--to',
        target,
        'plain',
      ]);
      return [result, path.join(target, 'plain')];
    };
    const [exact, file] = await restored('--perms');
    expect(exact).toMatchObject({ code: 0, stderr: '' });
    expect(attributesOf(file)).toEqual([
      `${list}=0x${value.toString('hex')}`,
      `user.by-stock=0x${bigValue.toString('hex')}`,
    ]);
    const [told, other] = await restored();
    expect(told).toMatchObject({ code: 0 });
    expect(told.stderr).toContain('access control lists with --perms');
    expect(attributesOf(other)).toEqual([`user.by-stock=0x${bigValue.toString('hex')}`]);
  });

  it('names attributes that the target refuses, restores the rest, and ignores foreign ones', async () => {
    const copy = fresh('copy');
    execFileSync('rsync', ['-aHX', `${bench.copy}/`, copy]);
    execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, copy, bench.passfile]);
    const objects = readdirSync(copy, { withFileTypes: true });
    const odd =
      objects.find((one) => one.isDirectory() && !one.name.startsWith('gocryptfs'))?.name ?? '';
    setXattr(path.join(copy, odd), 'user.foreign', 'x');
    const target = fresh('target');
    mkdirSync(target);
    chownSync(target, NOBODY, NOBODY);
    const words = ['restore', '-X', '--from', copy, '--to', target];
    const result = await run(words, { uid: NOBODY, env: { HOME: bench.dir } });
    expect(result.code, result.stderr).toBe(23);
    const refused = 'cannot set the extended attribute trusted.t of file (Operation not permitted)';
    expect(result.stderr).toContain(refused);
    expect(result.stderr).toContain('1 extended attribute of the copy was ignored');
    const wanted = xattrsOf(bench.source).filter((line) => line.includes(' user.'));
    expect(xattrsOf(target)).toEqual(wanted);
    expect(statSync(path.join(target, 'read-only')).mode & 0o777).toBe(0o444);
    execFileSync('chown', ['0:0', bench.passfile]);
  });

  it('names some attributes if a target refuses all, and counts the others', async () => {
    const source = fresh('source');
    mkdirSync(source);
    for (let i = 0; i < 25; i++) {
      writeFileSync(path.join(source, `${i}`), 'x');
      setXattr(path.join(source, `${i}`), 'trusted.t', 'x');
    }
    const copy = fresh('copy');
    await run(['init', source, '--scryptn', '10']);
    expect(await run(['push', copy, '-C', source, '-X'])).toMatchObject({ code: 0 });
    execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, copy, bench.passfile]);
    const target = fresh('target');
    mkdirSync(target);
    chownSync(target, NOBODY, NOBODY);
    const words = ['restore', '-X', '--from', copy, '--to', target];
    const result = await run(words, { uid: NOBODY, env: { HOME: bench.dir } });
    execFileSync('chown', ['0:0', bench.passfile]);
    expect(result.code).toBe(23);
    expect(result.stderr.match(/cannot set the extended attribute/g)).toHaveLength(20);
    expect(result.stderr).toContain('… and 5 more extended attributes that the target refuses');
  });

  it('reports damaged attributes', async () => {
    const copy = fresh('copy');
    execFileSync('rsync', ['-aHX', `${bench.copy}/`, copy]);
    const { stdout } = await run(['name', 'encode', '-C', bench.source, 'read-only']);
    const file = path.join(copy, stdout.trim());
    const line = xattrsOf(copy).find((one) => one.startsWith(`${stdout.trim()} `)) ?? '';
    const [, name = ''] = /^\S+ ([^=]+)=/.exec(line) ?? [];
    setXattr(file, name, Buffer.alloc(3032, 1));
    const target = fresh('target');
    const result = await run(['restore', '-X', '--from', copy, '--to', target, 'read-only']);
    expect(result.code).toBe(26);
    expect(result.stderr).toContain(
      'read-only: the value of an extended attribute cannot be decrypted; the attribute was not restored',
    );
  });

  it('names some of many damaged attributes, and counts the others', async () => {
    const copy = fresh('copy');
    execFileSync('rsync', ['-aHX', `${bench.copy}/`, copy]);
    const { stdout } = await run(['name', 'encode', '-C', bench.source, 'read-only']);
    const line = xattrsOf(copy).find((one) => one.startsWith(`${stdout.trim()} `)) ?? '';
    const [, name = ''] = /^\S+ ([^=]+)=/.exec(line) ?? [];
    const file = path.join(copy, stdout.trim());
    setXattr(file, name, 'damaged');
    for (let i = 0; i < 24; i++) setXattr(file, `${name.slice(0, -2)}${i + 10}`, 'damaged');
    for (const one of ['a', 'b']) setXattr(file, `user.foreign-${one}`, 'x');
    const words = ['restore', '-X', '--from', copy, '--to', fresh('target'), 'read-only'];
    const result = await run(words);
    expect(result.code).toBe(26);
    expect(result.stderr.match(/the attribute was not restored/g)).toHaveLength(20);
    expect(result.stderr).toContain(
      '… and 5 more extended attributes of the copy that cannot be decrypted',
    );
    expect(result.stderr).toContain('25 objects of the copy are damaged');
    expect(result.stderr).toContain('2 extended attributes of the copy were ignored');
  });

  it('clone -X makes a vault whose next push sends nothing', async () => {
    const target = fresh('clone');
    const cloned = await run(['clone', '-X', remote, target, '--perms', '--special-modes']);
    expect(cloned, cloned.stderr).toMatchObject({ code: 0 });
    expect(xattrsOf(target)).toEqual(xattrsOf(bench.source));
    const pushed = await run(['push', '-C', target, '-X', '-H', '-i']);
    expect(pushed, pushed.stderr).toMatchObject({ code: 0, stdout: '' });
    appendFileSync(path.join(target, 'plain'), '!');
    rmSync(target, { recursive: true });
  });
});

describe('restore -X where it cannot work', () => {
  it.each(['getfattr', 'setfattr', 'xargs'])('says that %s is missing', async (program) => {
    const bin = fresh('bin');
    mkdirSync(bin);
    for (const name of ['getfattr', 'setfattr', 'xargs'].filter((one) => one !== program)) {
      symlinkSync(execFileSync('which', [name]).toString().trim(), path.join(bin, name));
    }
    const target = fresh('target');
    const words = ['restore', '-C', bench.source, '-X', '--from', bench.copy, '--to', target];
    const result = await run(words, { env: { PATH: bin } });
    expect(result).toMatchObject({ code: 2 });
    expect(result.stderr).toContain(`-X needs the program ${program}, which is missing here`);
    expect(readdirSync(bench.dir)).not.toContain(path.basename(target));
  });
});
