// Layout `reverse` equals what `gocryptfs -reverse` shows, byte for byte: random trees are mounted
// by the stock program and compared with the view object by object. The installed release decides
// about the time shift of virtual files: 0 seconds up to 2.4, 10 since 2.5.0.
import { execFileSync } from 'node:child_process';
import {
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  utimesSync,
  writeFileSync,
  type BigIntStats,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { serialiseConf } from '../../../src/gocryptfs/conf/config.ts';
import type { LayoutChoice } from '../../../src/gocryptfs/conf/feature-flags.ts';
import { createConf } from '../../../src/gocryptfs/conf/keys.ts';
import { CONF_NAME, REVERSE_CONF_NAME } from '../../../src/gocryptfs/names/names.ts';
import { isRegularFile, isSymlink } from '../../../src/tree/entry.ts';
import { splitTime, type LocalEntry } from '../../../src/tree/local/local-entry.ts';
import { LocalTree } from '../../../src/tree/local/local-tree.ts';
import type { CipherEntry } from '../../../src/view/encrypt/cipher-entry.ts';
import { EncryptedView } from '../../../src/view/encrypt/encrypted-view.ts';
import { allEntries, readAll } from '../../support/materialise.ts';
import { makeRandomTree } from '../../support/random-tree.ts';
import { mountStock } from '../../support/stock-gocryptfs.ts';

const TREES = Number(process.env['ECSYNC_RANDOM_TREES'] ?? 1000);
const SEED = Number(process.env['ECSYNC_RANDOM_SEED'] ?? Math.floor(Date.now() / 1000) % 1e6);
/** One of them is the mounted root itself, the others are folders of it: mounts take their time. */
const TREES_PER_MOUNT = 20;
const PASSWORD = 'correct horse';

const VARIANTS: readonly LayoutChoice[] = [
  { layout: 'reverse' },
  { layout: 'reverse', deterministicNames: true },
  { layout: 'reverse', plaintextNames: true },
  { layout: 'reverse', longNameMax: 100 },
];

const work = mkdtempSync(path.join(tmpdir(), 'ecsync-reverse-'));
afterAll(() => rmSync(work, { recursive: true }));

const shiftSec = /gocryptfs v?(2\.[0-4]|1)\b/.test(
  execFileSync('gocryptfs', ['-version']).toString(),
)
  ? 0
  : 10;

/** A folder of random trees with a reverse conf, seen through the view and through a mount. */
async function makeRoot(
  name: string,
  layout: LayoutChoice,
): Promise<{ source: string; view: () => EncryptedView<LocalEntry>; mountPoint: string }> {
  const source = path.join(work, name, 'plain');
  const mountPoint = path.join(work, name, 'mount');
  mkdirSync(source, { recursive: true });
  mkdirSync(mountPoint);
  const settings = { password: Buffer.from(PASSWORD), scryptLogN: 10, creator: 'ecsync test' };
  const { conf, masterkey } = await createConf({ ...settings, layout });
  const bytes = serialiseConf(conf);
  const confFile = path.join(source, REVERSE_CONF_NAME);
  writeFileSync(confFile, bytes, { mode: 0o440 });
  utimesSync(confFile, 0, 1_600_000_000.25);
  const view = () => {
    const { mode, uid, gid, mtimeNs } = lstatSync(confFile, { bigint: true });
    const { sec, nsec } = splitTime(mtimeNs);
    const attributes = { mode: Number(mode), uid: Number(uid), gid: Number(gid) };
    return new EncryptedView(new LocalTree(source), {
      conf: { bytes, mtimeSec: sec, mtimeNsec: nsec, ...attributes },
      masterkey,
      derivation: 'reverse',
      virtualTimes: { shiftSec },
      onProblem: (_, error) => {
        throw error;
      },
    });
  };
  return { source, view, mountPoint };
}

function mountReverse({ source, mountPoint }: { source: string; mountPoint: string }) {
  const passfile = { path: `${mountPoint}.password`, password: PASSWORD };
  return mountStock(source, mountPoint, passfile, ['-reverse']);
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}

/** Everything below a folder by its path in Latin-1, the folder itself as `.`. */
function statsBelow(root: string): Map<string, BigIntStats> {
  const found = new Map<string, BigIntStats>();
  const look = (relative: string): void => {
    const full = fullPath(root, relative);
    const stats = lstatSync(full, { bigint: true });
    found.set(relative, stats);
    if (!stats.isDirectory()) return;
    for (const name of readdirSync(full, { encoding: 'buffer' })) {
      const key = name.toString('latin1');
      look(relative === '.' ? key : `${relative}/${key}`);
    }
  };
  look('.');
  return found;
}

function fullPath(root: string, relative: string): Buffer {
  return Buffer.concat([Buffer.from(`${root}/`), Buffer.from(relative, 'latin1')]);
}

function attributesOf(entry: CipherEntry) {
  const { mode, uid, gid, mtimeSec, mtimeNsec } = entry;
  const size = isRegularFile(entry) || isSymlink(entry) ? entry.size : 0;
  return { mode, uid, gid, mtimeSec, mtimeNsec, size };
}

function attributesOfStats(stats: BigIntStats): ReturnType<typeof attributesOf> {
  const { sec, nsec } = splitTime(stats.mtimeNs);
  return {
    mode: Number(stats.mode),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    mtimeSec: sec,
    mtimeNsec: nsec,
    size: stats.isFile() || stats.isSymbolicLink() ? Number(stats.size) : 0,
  };
}

/** Every difference between the view and what stock shows, one line each, and what was compared. */
async function compareEntries(
  view: EncryptedView<LocalEntry>,
  entries: readonly CipherEntry<LocalEntry>[],
  mounted: string,
): Promise<{ differences: string[]; objects: number; bytes: number }> {
  const differences: string[] = [];
  const stock = statsBelow(mounted);
  let bytes = 0;
  for (const entry of entries) {
    const key = text(entry.path);
    const say = (what: string) => differences.push(`${JSON.stringify(key)}: ${what}`);
    const stats = stock.get(key);
    stock.delete(key);
    if (stats === undefined) {
      say('only in the view');
      continue;
    }
    const [ours, theirs] = [attributesOf(entry), attributesOfStats(stats)];
    if (JSON.stringify(ours) !== JSON.stringify(theirs)) {
      say(`${JSON.stringify(ours)} instead of ${JSON.stringify(theirs)}`);
    }
    if (isSymlink(entry)) {
      const target = readlinkSync(fullPath(mounted, key), { encoding: 'buffer' });
      if (!target.equals(entry.target ?? Buffer.alloc(0))) say('another target');
    } else if (isRegularFile(entry)) {
      const content = await readAll(view, entry);
      bytes += content.length;
      if (!content.equals(readFileSync(fullPath(mounted, key)))) say('other content');
    }
  }
  for (const key of stock.keys()) differences.push(`${JSON.stringify(key)}: only in the mount`);
  return { differences, objects: entries.length, bytes };
}

const mounts = Math.max(VARIANTS.length, Math.ceil(TREES / TREES_PER_MOUNT));

test(
  `${TREES} random trees in ${mounts} roots, one of each the root itself: no difference`,
  { timeout: 60_000 + TREES * 1000 },
  async () => {
    let left = TREES;
    const total = { trees: 0, objects: 0, bytes: 0 };
    for (let root = 0; root < mounts; root++) {
      const layout = VARIANTS[root % VARIANTS.length] ?? { layout: 'reverse' };
      const made = await makeRoot(`root-${root}`, layout);
      const count = Math.ceil(left / (mounts - root));
      left -= count;
      for (let tree = 0; tree < count; tree++) {
        const folder = Buffer.from(path.join(made.source, tree === 0 ? '' : `tree ${tree}`));
        mkdirSync(folder, { recursive: true });
        makeRandomTree(
          folder,
          SEED + total.trees + tree,
          tree === 0 ? [CONF_NAME, REVERSE_CONF_NAME] : [],
        );
      }
      const mount = await mountReverse(made);
      try {
        const view = made.view();
        const { differences, objects, bytes } = await compareEntries(
          view,
          await allEntries(view),
          made.mountPoint,
        );
        expect(differences, `seed ${SEED}, ${JSON.stringify(layout)}`).toEqual([]);
        total.trees += count;
        total.objects += objects;
        total.bytes += bytes;
      } finally {
        await mount.unmount();
      }
      rmSync(path.dirname(made.source), { recursive: true });
    }
    const { trees, objects, bytes } = total;
    process.stdout.write(
      `seed ${SEED}: ${trees} trees, ${objects} objects, ${bytes} bytes compared with stock\n`,
    );
    expect(total.trees).toBe(TREES);
    expect(total.objects).toBeGreaterThan(TREES * 3);
  },
);

// Stock gives all names of an inode the identity of the one that was opened first.
test('only hard links differ, and only in their content', async () => {
  const made = await makeRoot('hard-links', { layout: 'reverse' });
  makeRandomTree(Buffer.from(made.source), SEED, [REVERSE_CONF_NAME, 'one', 'two']);
  const names = ['one/b', 'one/a', 'two/c'].map((name) => path.join(made.source, name));
  for (const folder of ['one', 'two']) mkdirSync(path.join(made.source, folder));
  const [first = '', ...others] = names;
  writeFileSync(first, 'content');
  for (const other of others) linkSync(first, other);
  const mount = await mountReverse(made);
  try {
    const view = made.view();
    const cipherPath = (name: string) => text(view.cipherPath(Buffer.from(name)));
    readFileSync(fullPath(made.mountPoint, cipherPath('two/c')));
    const entries = await allEntries(view);
    view.groupHardLinks(entries, ({ ino, nlink }) => (nlink > 1 ? ino : undefined));
    const { differences } = await compareEntries(view, entries, made.mountPoint);
    const ofTheLinks = ['one/a', 'one/b', 'two/c'].map(
      (name) => `${JSON.stringify(cipherPath(name))}: other content`,
    );
    expect(differences.length).toBeGreaterThan(0);
    for (const difference of differences) expect(ofTheLinks).toContain(difference);
    const contents = await Promise.all(
      entries.filter((entry) => entry.linkGroup !== undefined).map((e) => readAll(view, e)),
    );
    expect(new Set(contents.map(text)).size).toBe(1);
  } finally {
    await mount.unmount();
  }
});
