// Goal: folders whose gocryptfs.diriv is lost, empty or damaged, for example by a power cut, are
// unreadable for stock gocryptfs. ecsync reads, restores, reports and repairs them.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startSshd, type RunningSshd } from '../support/sshd.ts';
import { ecsync, initVault, makeBench, summaryOf, type Bench } from './support/cli.ts';
import { differences } from './support/compare.ts';
import { fsck } from './support/stock.ts';

const LONG = 'l'.repeat(200);
const LOST = ['.', 'docs', 'photos', 'photos/2026'];
const IGNORED = { ignore: ['.ecsync', '.ecsync-restore'], links: true, nanoseconds: false };

let bench: Bench;
let sshd: RunningSshd;
let remote: string;
beforeAll(async () => {
  sshd = await startSshd();
  bench = await makeBench();
  remote = `ssh://${sshd.user}@127.0.0.1:${sshd.port}${bench.copy}`;
  for (const folder of ['docs', 'photos/2026/empty']) {
    mkdirSync(path.join(bench.source, folder), { recursive: true });
  }
  for (const file of [`docs/${LONG}`, 'photos/a', 'photos/2026/b', 'top']) {
    writeFileSync(path.join(bench.source, file), `content of ${file}`);
  }
  await initVault(bench);
  expect(await run('push', remote)).toMatchObject({ code: 0, stderr: '' });
  const names = await run('name', 'encode', ...LOST.slice(1));
  const [docs = '', photos = '', year = ''] = names.stdout.trimEnd().split('\n');
  lose('', Buffer.alloc(16, 5)); // of the same size and time: only its content differs
  lose(docs, Buffer.alloc(16, 6));
  lose(photos, Buffer.alloc(0));
  lose(year);
});
afterAll(async () => {
  await sshd.stop();
  await bench.remove();
});

function run(command: string, ...words: readonly string[]) {
  const common = ['-C', bench.source, '--passfile', bench.passfile];
  return ecsync([command, ...words, ...common], { env: { HOME: sshd.home } });
}

function lose(cipherFolder: string, content?: Buffer): void {
  const folder = path.join(bench.copy, cipherFolder);
  const file = path.join(folder, 'gocryptfs.diriv');
  const { atime, mtime } = statSync(folder);
  chmodSync(file, 0o600);
  if (content === undefined) {
    rmSync(file);
    utimesSync(folder, atime, mtime);
    return;
  }
  writeFileSync(file, content);
  chmodSync(file, 0o444);
  utimesSync(file, 1_000_000_000, 1_000_000_000);
}

test.each(['sftp', 'rsync'])(
  'read by %s: everything is listed, and lost files are reported',
  async (via) => {
    const listed = await run('ls', '-R', '--via', via, '--from', remote);
    expect(listed.code).toBe(26);
    expect(listed.stdout.split('\n')).toEqual(
      expect.arrayContaining([`docs/${LONG}`, 'photos/2026/b', 'photos/2026/empty', 'top']),
    );
    expect(listed.stderr.match(/gocryptfs\.diriv of the folder is lost/g)).toHaveLength(4);
    const read = await run('cat', 'photos/2026/b', '--via', via, '--from', remote);
    expect(read).toMatchObject({ code: 26, stdout: 'content of photos/2026/b' });
    expect(read.stderr.match(/gocryptfs\.diriv of the folder is lost/g)).toHaveLength(3);
  },
);

test('a check names each of them and nothing else', async () => {
  const checked = await run('fsck', remote);
  expect(checked.code).toBe(26);
  expect(checked.stdout.trimEnd().split('\n').sort()).toEqual(
    LOST.map(
      (folder) =>
        `${folder}: the gocryptfs.diriv of the folder is lost or damaged; the folder was read without it`,
    ).sort(),
  );
});

test('everything is restored, with the vault and without', async () => {
  const target = path.join(bench.dir, 'restored');
  const restored = await run('restore', '--from', remote, '--to', target, '--json');
  expect(summaryOf(restored)).toMatchObject({ exitCode: 26, error: { code: 'dirivs-lost' } });
  expect(differences(bench.source, target, IGNORED)).toEqual([]);
  const clone = path.join(bench.dir, 'clone');
  const words = ['clone', bench.copy, clone, '--passfile', bench.passfile];
  const cloned = await ecsync(words, { env: { HOME: sshd.home } });
  expect(cloned.code).toBe(26);
  expect(cloned.stderr).toContain('ecsync adopt --repair');
  expect(differences(bench.source, clone, IGNORED)).toEqual([]);
  expect(existsSync(path.join(clone, '.ecsync'))).toBe(false);
});

test('verify names them and puts them back', async () => {
  const found = await run('verify', remote);
  expect(found.code).toBe(26);
  expect(found.stdout.match(/the folder's key file/g)).toHaveLength(4);
  expect(await run('verify', '--repair', remote)).toMatchObject({ code: 0 });
  expect(await run('fsck', remote)).toMatchObject({ code: 0, stdout: '' });
  expect(await fsck(bench.copy, bench.passfile)).toMatchObject({ code: 0 });
  expect(readdirSync(bench.copy)).toContain('gocryptfs.diriv');
});
