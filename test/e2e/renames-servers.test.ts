import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type RunningSshd, startSshd } from '../support/sshd.ts';
import {
  type Bench,
  ecsync,
  initVault,
  type JsonSummary,
  makeBench,
  summaryOf,
} from './support/cli.ts';
import { differences } from './support/compare.ts';
import { fsck, withMount } from './support/stock.ts';

const OLD_SEC = 1_600_000_000;

let bench: Bench;
beforeEach(async () => {
  bench = await makeBench();
  mkdirSync(bench.source);
});
afterEach(() => bench.remove());

const at = (...names: string[]): string => path.join(bench.source, ...names);

function write(name: string, content: Uint8Array | string, mtimeSec = OLD_SEC): void {
  mkdirSync(path.dirname(at(name)), { recursive: true });
  writeFileSync(at(name), content);
  utimesSync(at(name), mtimeSec, mtimeSec);
}

function fillFolder(): void {
  for (let i = 0; i < 12; i++) write(`folder/${i % 3}/file ${i}`, randomBytes(20_000));
}

async function push(home: string, destination: string, ...more: string[]): Promise<JsonSummary> {
  const words = ['push', '-C', bench.source, '--json', '--delete', '--passfile', bench.passfile];
  const result = await ecsync([...words, destination, ...more], { env: { HOME: home } });
  expect(result.stderr).toBe('');
  expect(result.code, result.stdout).toBe(0);
  return summaryOf(result);
}

async function expectEqual(copy: string, options: { nanoseconds?: boolean } = {}): Promise<void> {
  const report = await fsck(copy, bench.passfile);
  expect(report.code, report.text).toBe(0);
  const found = await withMount(copy, bench.passfile, (mountpoint) =>
    Promise.resolve(differences(bench.source, mountpoint, { ignore: ['.ecsync'], ...options })),
  );
  expect(found).toEqual([]);
}

describe('servers of all kinds', () => {
  let sshd: RunningSshd;
  beforeAll(async () => {
    sshd = await startSshd();
  });
  afterAll(() => sshd.stop());
  const destination = (): string => `ssh://${sshd.user}@127.0.0.1:${sshd.port}${bench.copy}`;

  it.each([27, 29, 30, 31, 32])('protocol %i', async (protocol) => {
    await initVault(bench);
    fillFolder();
    const words = ['--protocol', String(protocol)];
    await push(sshd.home, destination(), ...words);
    renameSync(at('folder'), at('renamed'));
    const done = await push(sshd.home, destination(), ...words);
    expect(done.filesSent).toBe(protocol < 29 ? 12 : 0);
    await expectEqual(bench.copy, { nanoseconds: protocol >= 31 });
  });

  it('a folder of 100 MB for less than 100 kB', async () => {
    await initVault(bench);
    for (let i = 0; i < 100; i++) write(`folder/${i % 7}/file ${i}`, randomBytes(1 << 20));
    await push(sshd.home, destination());
    renameSync(at('folder'), at('renamed'));
    const { bytesSent, filesSent } = await push(sshd.home, destination());
    expect(filesSent).toBe(0);
    expect(bytesSent).toBeLessThan(100_000);
    await expectEqual(bench.copy);
  });

  it('one whose file system has no hard links', async () => {
    await initVault(bench);
    fillFolder();
    const rsync = path.join(bench.dir, 'rsync');
    const inject = 'inject=link,linkat:error=EPERM';
    writeFileSync(rsync, `#!/bin/sh\nexec strace -f -o /dev/null -e ${inject} rsync "$@"\n`);
    chmodSync(rsync, 0o755);
    const words = ['--rsync-path', rsync];
    await push(sshd.home, destination(), ...words);
    renameSync(at('folder'), at('renamed'));
    const done = await push(sshd.home, destination(), ...words);
    expect(done.filesSent).toBe(12);
    await expectEqual(bench.copy);
  });

  it('one that refuses the letter H', async () => {
    await initVault(bench);
    fillFolder();
    const rsync = path.join(bench.dir, 'rsync');
    const refuse = 'case "$2" in *H*e.*) echo "unknown option -H" >&2; exit 1;; esac';
    writeFileSync(rsync, `#!/bin/sh\n${refuse}\nexec rsync "$@"\n`);
    chmodSync(rsync, 0o755);
    const words = ['--rsync-path', rsync];
    await push(sshd.home, destination(), ...words);
    renameSync(at('folder'), at('renamed'));
    expect((await push(sshd.home, destination(), ...words)).filesSent).toBe(12);
    await expectEqual(bench.copy);
  });

  it.each([
    { name: 'plaintext names', words: ['--plaintextnames'], sent: 0 },
    { name: 'deterministic names', words: ['--deterministic-names'], sent: 0 },
    { name: 'long names from 100 bytes on', words: ['--longnamemax', '100'], sent: 0 },
    { name: 'layout xchacha', words: ['--layout', 'xchacha'], sent: 0 },
    {
      name: 'layout reverse, whose identities are paths',
      words: ['--layout', 'reverse'],
      sent: 14,
    },
  ])('$name', async ({ words, sent }) => {
    const init = ['init', bench.source, '--scryptn', '10', '--passfile', bench.passfile];
    expect((await ecsync([...init, ...words])).code).toBe(0);
    fillFolder();
    write('a', randomBytes(5000));
    write(`b${'b'.repeat(100)}`, randomBytes(6000));
    await push(sshd.home, destination());
    renameSync(at('folder'), at('renamed'));
    renameSync(at('a'), at('renamed', 'a'));
    renameSync(at(`b${'b'.repeat(100)}`), at(`c${'c'.repeat(100)}`));
    expect((await push(sshd.home, destination())).filesSent).toBe(sent);
    // With plaintext names a mount shows the temporary directory.
    const own = ['.gocryptfs.reverse.conf', 'gocryptfs.longname.ecsync-tmp.name'];
    const found = await withMount(bench.copy, bench.passfile, (mountpoint) =>
      Promise.resolve(differences(bench.source, mountpoint, { ignore: ['.ecsync', ...own] })),
    );
    expect(found).toEqual([]);
  });
});

it('rrsync, which allows nothing else', async () => {
  const shelf = path.join(bench.dir, 'shelf');
  mkdirSync(shelf);
  await initVault(bench);
  fillFolder();
  const sshd = await startSshd({ forcedCommand: `rrsync -wo ${shelf}` });
  const destination = `ssh://${sshd.user}@127.0.0.1:${sshd.port}/copies`;
  try {
    await push(sshd.home, destination);
    renameSync(at('folder', '0'), at('folder', 'x'));
    renameSync(at('folder', '1'), at('folder', '0'));
    renameSync(at('folder', 'x'), at('folder', '1'));
    renameSync(at('folder'), at('renamed'));
    expect((await push(sshd.home, destination)).filesSent).toBe(0);
    await expectEqual(path.join(shelf, 'copies'));
  } finally {
    await sshd.stop();
  }
});

/** What happens to a tree between two pushes. Numbers choose among the existing objects. */
type Action =
  | { readonly kind: 'write' | 'edit' | 'remove'; readonly which: number; readonly seed: number }
  | { readonly kind: 'rename'; readonly which: number; readonly seed: number };

const actionArb: fc.Arbitrary<Action> = fc.record({
  kind: fc.constantFrom('write', 'edit', 'remove', 'rename', 'rename', 'rename', 'rename'),
  which: fc.nat(1000),
  seed: fc.nat(30),
});

const FOLDERS = ['', 'a', 'b', 'a/c', `b/${'l'.repeat(190)}`];
const NAMES = ['f', 'g', 'h', 'n'.repeat(180)];

function objects(): string[] {
  return readdirSync(bench.source, { recursive: true })
    .map(String)
    .filter((name) => !name.startsWith('.ecsync'))
    .sort();
}

function act({ kind, which, seed }: Action, tick: number): void {
  const all = objects();
  const chosen = all[which % Math.max(1, all.length)];
  const target = path.join(
    FOLDERS[seed % FOLDERS.length] ?? '',
    NAMES[Math.floor(seed / FOLDERS.length) % NAMES.length] ?? '',
  );
  if (kind === 'write') {
    if (statSync(at(target), { throwIfNoEntry: false })?.isDirectory() === true) return;
    write(target, Buffer.alloc(5000 + (seed % 2), randomBytes(1)), OLD_SEC + tick);
  } else if (chosen === undefined) {
    return;
  } else if (kind === 'remove') {
    rmSync(at(chosen), { recursive: true });
  } else if (kind === 'edit') {
    if (statSync(at(chosen)).isFile())
      write(chosen, randomBytes(5000 + (seed % 2)), OLD_SEC + tick);
  } else {
    rename(chosen, target);
  }
}

function rename(from: string, to: string): void {
  const isInside = `${to}/`.startsWith(`${from}/`);
  const blocking = statSync(at(to), { throwIfNoEntry: false });
  const isFolder = statSync(at(from)).isDirectory();
  if (isInside || (blocking !== undefined && blocking.isDirectory() !== isFolder)) return;
  if (blocking?.isDirectory() === true && readdirSync(at(to)).length > 0) return;
  mkdirSync(path.dirname(at(to)), { recursive: true });
  renameSync(at(from), at(to));
}

it(
  'any sequence of renames, edits and deletions gives the same copy',
  { timeout: 600_000 },
  async () => {
    const runs = Number(process.env['ECSYNC_RENAME_RUNS'] ?? 4);
    const rounds = fc.array(fc.array(actionArb, { minLength: 1, maxLength: 8 }), {
      minLength: 2,
      maxLength: 5,
    });
    await fc.assert(
      fc.asyncProperty(rounds, fc.boolean(), async (actions, isLocal) => {
        rmSync(bench.source, { recursive: true, force: true });
        rmSync(bench.copy, { recursive: true, force: true });
        mkdirSync(bench.source);
        await initVault(bench);
        // Two sizes and one time, so that files are easily mistaken for each other.
        for (const [i, folder] of FOLDERS.entries()) {
          for (const name of NAMES)
            write(path.join(folder, name), Buffer.alloc(5000 + (i % 2), name));
        }
        const words = isLocal ? [] : ['--rsync-path', 'rsync'];
        await push('/nonexistent', bench.copy, ...words);
        let tick = 0;
        for (const round of actions) {
          for (const action of round) act(action, ++tick);
          await push('/nonexistent', bench.copy, ...words);
          await expectEqual(bench.copy, { nanoseconds: false });
        }
      }),
      { numRuns: runs },
    );
  },
);
