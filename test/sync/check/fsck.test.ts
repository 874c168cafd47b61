// What a check reports and counts, without a disk: damage in every place, what cannot be read, what
// is only worth a note, and the conf.
import { describe, expect, test } from 'vitest';
import { findingText } from '../../../src/cli/copies/fsck-output.ts';
import { FileError, VanishedError } from '../../../src/errors.ts';
import { flagsOfLayout } from '../../../src/gocryptfs/conf/feature-flags.ts';
import { openCipher, openLayout } from '../../../src/gocryptfs/layout.ts';
import { NATIVE_BACKEND } from '../../../src/gocryptfs/cipher/native-backend.ts';
import { associatedData } from '../../../src/gocryptfs/content/nonces.ts';
import { TEMPORARY_DIRECTORY } from '../../../src/gocryptfs/names/names.ts';
import { S_IFDIR, S_IFIFO } from '../../../src/tree/entry.ts';
import { fsck } from '../../../src/sync/check/fsck.ts';
import type { FsckFinding } from '../../../src/sync/copy/fsck-finding.ts';
import { IdentityCheck } from '../../../src/view/decrypt/identity-check.ts';
import { pattern } from '../../support/format-fixtures.ts';
import { MemoryTree, type MemoryEntry } from '../../support/memory-tree.ts';
import {
  confBytesOf,
  COPY_MASTERKEY,
  copyTree,
  storedObjects,
  type StoredObject,
} from '../../support/stored-copy.ts';
import type { FsckJob } from '../../../src/sync/check/fsck-job.ts';
import type { FsckProgress } from '../../../src/sync/check/fsck-summary.ts';

const GCM = flagsOfLayout({ layout: 'gcm' });
const layout = openLayout({ flags: new Set(GCM), longNameMax: 255 }, COPY_MASTERKEY);
const conf = confBytesOf(GCM);

async function storedSample(): Promise<StoredObject[]> {
  const tree = new MemoryTree();
  tree.addDirectory('dir');
  tree.addFile('dir/blocks', pattern(10 * 4096));
  tree.addFile('dir/empty', Buffer.alloc(0));
  tree.addFile('small', Buffer.from('content'));
  tree.addSymlink('link', Buffer.from('small'));
  tree.add('pipe', { mode: S_IFIFO | 0o600 });
  return storedObjects(tree, GCM);
}

interface Checked {
  readonly job?: Partial<FsckJob<MemoryEntry>>;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: FsckProgress) => void;
}

async function check(tree: MemoryTree, { job, signal, onProgress }: Checked = {}) {
  const findings: FsckFinding[] = [];
  const summary = await fsck(
    { openTree: () => tree, layout, conf, isOnlyEcsync: true, ...job },
    {
      finding: (finding) => findings.push(finding),
      progress: onProgress ?? (() => undefined),
    },
    signal ?? new AbortController().signal,
  );
  for (const finding of findings) expectWords(finding);
  return { summary, findings };
}

/** People are told what was found in words, never by a code alone. */
function expectWords(finding: FsckFinding): void {
  const text = findingText(finding);
  expect(text.includes(finding.code) && finding.code.includes('-'), text).toBe(false);
  expect(text.split(' ').length, text).toBeGreaterThan(3);
}

function shown({ severity, code, plainPath, plainDirectory, blocks }: FsckFinding): string {
  const where =
    plainPath === undefined
      ? `${Buffer.from(plainDirectory).toString()}/?`
      : Buffer.from(plainPath).toString();
  const range = blocks === undefined ? '' : ` ${blocks.first}-${blocks.last}`;
  return `${severity} ${code} ${where}${range}`;
}

function contentOf(objects: readonly StoredObject[], name: string): Buffer {
  const content = objects.find((object) => object.name === name)?.facts.content;
  return content ?? expect.unreachable(`${name} has no content`);
}

/** Damages blocks of a file. */
function damage(bytes: Buffer, ...blockNos: readonly number[]): void {
  for (const blockNo of blockNos) {
    const at = 18 + blockNo * 4128 + 20;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
  }
}

test('an intact copy: everything is counted, nothing is found', async () => {
  const { summary, findings } = await check(copyTree(await storedSample()));
  expect(findings).toEqual([]);
  expect(summary).toEqual({
    files: 3,
    folders: 2,
    links: 1,
    others: 1,
    bytesRead: 10 * 4128 + 7 + 32,
    damaged: 0,
    unread: 0,
    notes: 0,
    placesChecked: false,
    exitCode: 0,
  });
});

test('damaged blocks are reported in ranges, and the check goes on after them', async () => {
  const objects = await storedSample();
  damage(contentOf(objects, 'dir/blocks'), 2, 3, 4, 8);
  damage(contentOf(objects, 'small'), 0);
  contentOf(objects, 'dir/blocks').fill(0, 18 + 5 * 4128, 18 + 7 * 4128);
  const { summary, findings } = await check(copyTree(objects));
  expect(findings.map(shown)).toEqual([
    'damage tag-mismatch small 0-0',
    'damage tag-mismatch dir/blocks 2-4',
    'damage hole dir/blocks 5-6',
    'damage tag-mismatch dir/blocks 8-8',
  ]);
  expect(summary).toMatchObject({ damaged: 4, exitCode: 26 });
  expect(findings[0]?.message).toContain('small');
  expect(findings.map(findingText)).toEqual([
    'small: block 0 is damaged',
    'dir/blocks: blocks 2 to 4 are damaged',
    'dir/blocks: blocks 5 to 6 hold zeros that no key vouches for',
    'dir/blocks: block 8 is damaged',
  ]);
});

test('holes are a note in a copy that gocryptfs may have written', async () => {
  const objects = await storedSample();
  contentOf(objects, 'dir/blocks').fill(0, 18 + 5 * 4128, 18 + 7 * 4128);
  const { summary, findings } = await check(copyTree(objects), {
    job: { isOnlyEcsync: false, allowHoles: true },
  });
  expect(findings.map(shown)).toEqual(['note hole dir/blocks 5-6']);
  expect(summary).toMatchObject({ damaged: 0, notes: 1, exitCode: 0 });
});

test('a hole is damage in a file that ecsync wrote, whoever else writes to the copy', async () => {
  const objects = await storedSample();
  contentOf(objects, 'dir/blocks').fill(0, 18 + 5 * 4128, 18 + 7 * 4128);
  const job = {
    ...{ isOnlyEcsync: false, allowHoles: true },
    identities: new IdentityCheck(layout, { keepsMisplaced: true }),
  };
  const { summary, findings } = await check(copyTree(objects), { job });
  expect(findings.map(shown)).toEqual(['damage hole dir/blocks 5-6']);
  expect(summary).toMatchObject({ exitCode: 26, placesChecked: true });
});

test('a block with the right tag and a nonce that ecsync would not choose is found', async () => {
  const objects = await storedSample();
  const content = contentOf(objects, 'dir/blocks');
  const fileID = content.subarray(2, 18);
  const source = { flags: new Set(GCM), masterkey: COPY_MASTERKEY, backend: NATIVE_BACKEND };
  const sealed = content.subarray(18 + 4 * 4128, 18 + 5 * 4128);
  openCipher(source).seal(
    {
      plain: Buffer.alloc(4096, 'forged'),
      nonce: Buffer.alloc(16, 5),
      associated: associatedData(4, fileID),
    },
    sealed,
  );
  const identities = (): IdentityCheck => new IdentityCheck(layout, { keepsMisplaced: true });
  const ours = await check(copyTree(objects), {
    job: { identities: identities(), checksNonces: true },
  });
  expect(ours.findings.map(shown)).toEqual(['damage nonce-foreign dir/blocks 4-4']);
  const mixed = { identities: identities(), checksNonces: true, isOnlyEcsync: false };
  const { findings, summary } = await check(copyTree(objects), { job: mixed });
  expect(findings.map(shown)).toEqual(['note nonce-foreign dir/blocks 4-4']);
  expect(summary.exitCode).toBe(0);
});

test('the folder for unfinished files is worth a note only when something is in it', async () => {
  const tree = copyTree(await storedSample());
  tree.add(TEMPORARY_DIRECTORY, { mode: S_IFDIR | 0o700 });
  expect((await check(tree)).findings).toEqual([]);
  tree.addFile(`${TEMPORARY_DIRECTORY}/rest`, Buffer.from('unfinished'));
  const { summary, findings } = await check(tree);
  expect(findings.map(shown)).toEqual(['note unfinished-push ./?']);
  expect(summary).toMatchObject({ notes: 1, exitCode: 0 });
});

describe('the conf in the copy', () => {
  const withConf = async (bytes: Buffer | undefined) => {
    const objects = (await storedSample()).filter(({ name }) => name !== '. conf');
    const tree = copyTree(objects);
    if (bytes !== undefined) tree.addFile('gocryptfs.conf', bytes);
    return tree;
  };
  const otherKey = Buffer.from(conf.toString().replace('AQEB', 'AgIC'));

  test.each([
    ['is missing', undefined, 'damage conf-missing ./?'],
    ['is cut', conf.subarray(0, 100), 'damage conf-invalid ./?'],
    ['is another', otherKey, 'damage conf-differs ./?'],
    [
      'has other flags',
      confBytesOf(flagsOfLayout({ layout: 'xchacha' })),
      'damage conf-flags-differ ./?',
    ],
    [
      'has another name limit',
      confBytesOf([...GCM, 'LongNameMax'], 62),
      'damage conf-flags-differ ./?',
    ],
  ])('%s', async (_, bytes, expected) => {
    const { summary, findings } = await check(await withConf(bytes));
    expect(findings.map(shown)).toEqual([expected]);
    expect(summary.exitCode).toBe(26);
  });

  test('only has to be valid where none is known, and is missed with a note', async () => {
    const unknown = async (bytes: Buffer | undefined) => {
      const tree = await withConf(bytes);
      const job = { openTree: () => tree, layout, isOnlyEcsync: true };
      const findings: FsckFinding[] = [];
      const reporter = {
        finding: (finding: FsckFinding) => findings.push(finding),
        progress: () => undefined,
      };
      await fsck(job, reporter, new AbortController().signal);
      return findings.map(shown);
    };
    expect(await unknown(otherKey)).toEqual([]);
    expect(await unknown(Buffer.from('{}'))).toEqual(['damage conf-invalid ./?']);
    expect(await unknown(undefined)).toEqual(['note conf-missing ./?']);
  });
});

describe('what cannot be read', () => {
  const failing = async (error: FileError | VanishedError) => {
    const objects = await storedSample();
    const tree = copyTree(objects);
    const path = objects.find(({ name }) => name === 'small')?.path ?? Buffer.alloc(0);
    const open = tree.open.bind(tree);
    tree.open = (entry) => (path.equals(entry.path) ? Promise.reject(error) : open(entry));
    return check(tree);
  };

  test('is no damage: exit code 23', async () => {
    const { summary, findings } = await failing(new FileError('open-failed', 'cannot open it'));
    expect(findings.map(shown)).toEqual(['unread open-failed small']);
    expect(summary).toMatchObject({ unread: 1, damaged: 0, exitCode: 23 });
  });

  test('because it is gone: exit code 24', async () => {
    const { summary, findings } = await failing(new VanishedError('vanished', 'it vanished'));
    expect(findings.map(shown)).toEqual(['unread vanished small']);
    expect(summary.exitCode).toBe(24);
  });

  test('because it changes meanwhile: what was found in it does not count', async () => {
    const objects = await storedSample();
    const tree = copyTree(objects);
    damage(contentOf(objects, 'dir/blocks'), 1);
    const open = tree.open.bind(tree);
    tree.open = async (entry) => {
      const file = await open(entry);
      if (entry.size < 40_000) return file;
      return { ...file, close: () => Promise.resolve('changed') };
    };
    const { summary, findings } = await check(tree);
    expect(findings.map(shown)).toEqual(['unread changed dir/blocks']);
    expect(summary).toMatchObject({ damaged: 0, exitCode: 24 });
  });

  test('by the tree itself is reported with the folder it is in', async () => {
    const tree = copyTree(await storedSample());
    const children = tree.children.bind(tree);
    const { summary, findings } = await check(tree, {
      job: {
        openTree: (onProblem) => {
          tree.children = async (directory) => {
            const found = await children(directory);
            if (directory.path.length === 1) return found;
            directory.contentUnknown = true;
            onProblem(directory.path, new FileError('open-failed', 'cannot list it'));
            return [];
          };
          return tree;
        },
      },
    });
    expect(findings.map(shown)).toEqual(['unread open-failed dir']);
    expect(summary).toMatchObject({ unread: 1, exitCode: 23 });
  });
});

test('hard-linked files are read once, and damage is reported for every name', async () => {
  const objects = await storedSample();
  const small = objects.find(({ name }) => name === 'small');
  const content = contentOf(objects, 'small');
  damage(content, 0);
  const names = [1, 2, 3].map((number) =>
    layout.names.encryptName(Buffer.from(`name ${number}`), contentOf(objects, '. diriv')),
  );
  const tree = copyTree([
    ...objects.map((object) =>
      object === small ? { ...object, facts: { ...object.facts, linkGroup: 1 } } : object,
    ),
    ...names.map(({ name }) => ({
      name: '',
      path: Buffer.from(name),
      facts: { content, linkGroup: 1 },
    })),
  ]);
  const { findings } = await check(tree);
  expect(findings.map(shown).sort()).toEqual([
    'damage tag-mismatch name 1 0-0',
    'damage tag-mismatch name 2 0-0',
    'damage tag-mismatch name 3 0-0',
    'damage tag-mismatch small 0-0',
  ]);
  const readsOfIt = tree.reads.filter(([, length]) => length === content.length);
  expect(readsOfIt).toHaveLength(1);
});

test('tells how far it is, and ends when it is told to', async () => {
  const tree = copyTree(await storedSample());
  const seen: FsckProgress[] = [];
  await check(tree, { onProgress: (progress) => seen.push(progress) });
  expect(seen.at(-1)).toMatchObject({ filesDone: 2 });
  expect(seen.map(({ bytesDone }) => bytesDone)).toContain(10 * 4128 + 7 + 32);

  const controller = new AbortController();
  const stopped = check(tree, {
    signal: controller.signal,
    onProgress: () => controller.abort(new Error('enough')),
  });
  await expect(stopped).rejects.toThrow('enough');
});

describe('a copy that is listed as a whole', () => {
  test('what could not be listed counts, though it was told before there was a root', async () => {
    const tree = copyTree(await storedSample());
    const openTree: FsckJob<MemoryEntry>['openTree'] = (onProblem) => {
      onProblem(Buffer.from('.'), new FileError('remote-partial', 'the server could not read all'));
      return tree;
    };
    const { summary, findings } = await check(tree, { job: { openTree } });
    expect(summary).toMatchObject({ exitCode: 23, unread: 1, files: 3 });
    expect(findings.map(shown)).toEqual(['unread remote-partial .']);
  });
});
