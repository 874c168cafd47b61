import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startSshd, type RunningSshd } from '../support/sshd.ts';
import { ecsync, initVault, makeBench, type Bench } from './support/cli.ts';
import { differences } from './support/compare.ts';

// The connection of a first push is cut once, after a number of bytes. The push is retried by
// itself, succeeds, and does not send stored files again.

const FILES = 60;
const FILE_BYTES = 20_000;
/**
 * Bytes of the encrypted connection that reach the server first: from the login to the last file.
 * Then the line is silent, and is cut when the server stores nothing more.
 */
/** Here only a command that was started ahead may be lost, which is restarted silently. */
const AFTER_LOGIN = 5000;
const CUTS = [
  ...[500, 3000, AFTER_LOGIN, 8000, 20_000, 100_000],
  ...[250_000, 400_000, 600_000, 800_000, 1_000_000, 1_190_000],
];

let sshd: RunningSshd;
let bench: Bench;
beforeAll(async () => {
  [sshd, bench] = await Promise.all([startSshd(), makeBench()]);
  mkdirSync(path.join(bench.source, 'folder'), { recursive: true });
  for (let i = 0; i < FILES; i++) {
    const content = Buffer.alloc(FILE_BYTES, `content of ${i} `);
    writeFileSync(path.join(bench.source, i % 2 === 0 ? 'folder' : '', `file ${i}`), content);
  }
  await initVault(bench);
});
afterAll(async () => {
  await sshd.stop();
  await bench.remove();
});

/** Every file of a copy with its inode, which changes when rsync stores it again. */
function inodes(copy: string): Map<string, number> {
  const names = readdirSync(copy, { recursive: true, encoding: 'utf8' });
  return new Map(
    names.flatMap((name) => {
      const stats = statSync(path.join(copy, name), { throwIfNoEntry: false });
      const isStored = stats?.isFile() === true && !name.includes('ecsync-tmp');
      return isStored ? [[name, stats.ino] as const] : [];
    }),
  );
}

/** Waits until the number of files in a copy was constant for three looks. */
async function storedAllItGot(copy: string): Promise<void> {
  let before = -1;
  let same = 0;
  while (same < 3) {
    await setTimeout(100);
    const { size } = inodes(copy);
    same = size === before ? same + 1 : 0;
    before = size;
  }
}

/**
 * A relay to the server that cuts the first connection. It records the stored files before the
 * second one.
 */
async function startRelay(cutAfterBytes: number, copy: string) {
  const stored = new Map<string, number>();
  let connections = 0;
  const relay = (one: Socket): void => {
    connections++;
    const isFirst = connections === 1;
    if (connections === 2) for (const [name, ino] of inodes(copy)) stored.set(name, ino);
    const two = connect(sshd.port, '127.0.0.1');
    for (const socket of [one, two]) socket.on('error', () => undefined);
    let passed = 0;
    one.on('data', (chunk: Buffer) => {
      const left = isFirst ? cutAfterBytes - passed : chunk.length;
      passed += chunk.length;
      two.write(chunk.subarray(0, left));
      if (!isFirst || passed < cutAfterBytes) return;
      one.pause();
      void storedAllItGot(copy).then(() => {
        one.destroy();
        two.destroy();
      });
    });
    two.pipe(one);
    one.on('end', () => two.end());
  };
  const server = createServer(relay);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    stored,
    count: () => connections,
    stop: () => server.close(),
  };
}

it.concurrent.each(CUTS)('is cut after %i bytes', async (bytes) => {
  const copy = path.join(bench.dir, `copy-${bytes}`);
  mkdirSync(copy);
  const vaultDir = path.join(bench.dir, `vault-${bytes}`);
  const relay = await startRelay(bytes, copy);
  try {
    const made = ['init', bench.source, '--vault-dir', vaultDir, '--scryptn', '10'];
    expect((await ecsync([...made, '--passfile', bench.passfile])).code).toBe(0);
    const known = readFileSync(sshd.knownHostsFile, 'utf8').replaceAll(
      `:${sshd.port} `,
      `:${relay.port} `,
    );
    const home = path.join(bench.dir, `home-${bytes}`);
    mkdirSync(path.join(home, '.ssh'), { recursive: true, mode: 0o700 });
    writeFileSync(path.join(home, '.ssh/known_hosts'), known);
    writeFileSync(path.join(home, '.ssh/config'), `IdentityFile ${sshd.keyFile}\n`);
    const url = `ssh://${sshd.user}@127.0.0.1:${relay.port}${copy}`;
    const words = ['--vault-dir', vaultDir, '--passfile', bench.passfile];
    const env = { HOME: home };
    const result = await ecsync(['push', url, '--retries', '3', ...words], { env });
    if (bytes !== AFTER_LOGIN) expect(result.stderr).toContain('attempt 2 of 4');
    expect(result.code).toBe(0);
    expect(relay.count()).toBeGreaterThan(1);
    const now = inodes(copy);
    expect([...relay.stored].filter(([name, ino]) => now.get(name) !== ino)).toEqual([]);
    if (bytes >= 600_000) expect(relay.stored.size).toBeGreaterThan(10);
    const target = path.join(bench.dir, `back-${bytes}`);
    const back = ['restore', '--from', copy, '--to', target, ...words];
    expect((await ecsync(back)).code).toBe(0);
    const ignore = ['.ecsync'];
    expect(differences(bench.source, target, { ignore, nanoseconds: false })).toEqual([]);
  } finally {
    relay.stop();
  }
});
