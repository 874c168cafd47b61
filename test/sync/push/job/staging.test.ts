import { describe, expect, it } from 'vitest';
import type { PushEntry } from '../../../../src/sync/push/source/push-entry.ts';
import {
  newStructure,
  knownKey,
  withAncestors,
} from '../../../../src/sync/push/source/skeleton.ts';
import {
  foundingRuns,
  tempDirSpellings,
  withTempDir,
} from '../../../../src/sync/push/job/staging.ts';

const TEMP = 'gocryptfs.longname.ecsync-tmp.name';

function entry(path: string, more: Partial<PushEntry> = {}): PushEntry {
  const isFolder = path === '.' || path.endsWith('/');
  return {
    path: Buffer.from(path.replace(/\/$/, '')),
    mode: isFolder ? 0o040755 : 0o100644,
    size: 0,
    mtimeSec: 0,
    mtimeNsec: 0,
    uid: 0,
    gid: 0,
    ...more,
  };
}
const virtual = (path: string, kind: 'conf' | 'diriv' | 'name'): PushEntry =>
  entry(path, { virtual: kind, bytes: Buffer.from(kind) });

const LIST = [
  entry('.'),
  virtual('gocryptfs.conf', 'conf'),
  virtual('gocryptfs.diriv', 'diriv'),
  virtual('gocryptfs.longname.L.name', 'name'),
  entry('plainfile'),
  entry('A/'),
  virtual('A/gocryptfs.diriv', 'diriv'),
  entry('A/file'),
  entry('A/B/'),
  virtual('A/B/gocryptfs.diriv', 'diriv'),
  entry('gocryptfs.longname.L/'),
  virtual('gocryptfs.longname.L/gocryptfs.diriv', 'diriv'),
  entry('z/'),
  virtual('z/gocryptfs.diriv', 'diriv'),
];
const shown = (entries: readonly PushEntry[]): string[] =>
  entries.map((e) => Buffer.from(e.path).toString());

describe('the skeleton', () => {
  it('is folders and virtual files, and only what is not known yet', () => {
    const all = newStructure(LIST, new Set());
    expect(shown(all)).toEqual(
      shown(LIST.filter((e) => e.virtual !== undefined || e.mode === 0o040755)),
    );
    const known = new Set(all.map(knownKey));
    expect(newStructure(LIST, known)).toEqual([]);
    const [, conf] = LIST;
    const changed = LIST.map((e) => (e === conf ? { ...e, bytes: Buffer.from('another') } : e));
    expect(shown(newStructure(changed, known))).toEqual(['gocryptfs.conf']);
  });

  it('is a complete list of its own with the folders above', () => {
    const wanted = new Set(
      LIST.filter((e) => Buffer.from(e.path).toString() === 'A/B/gocryptfs.diriv'),
    );
    expect(shown(withAncestors(LIST, wanted))).toEqual(['.', 'A', 'A/B', 'A/B/gocryptfs.diriv']);
  });
});

describe('staging', () => {
  const COPIES = [
    TEMP,
    `${TEMP}/gocryptfs.longname.L.name`,
    `${TEMP}/A`,
    `${TEMP}/A/gocryptfs.diriv`,
    `${TEMP}/A/B`,
    `${TEMP}/A/B/gocryptfs.diriv`,
    `${TEMP}/gocryptfs.longname.L`,
    `${TEMP}/gocryptfs.longname.L/gocryptfs.diriv`,
    `${TEMP}/z`,
    `${TEMP}/z/gocryptfs.diriv`,
  ];

  it('founds a new root with its diriv, then its conf, and copies what new folders need', () => {
    const wanted = new Set(newStructure(LIST, new Set()));
    const runs = foundingRuns(withAncestors(LIST, wanted), wanted);
    expect(runs.map(shown)).toEqual([
      ['.', 'gocryptfs.diriv'],
      ['.', 'gocryptfs.conf', ...COPIES],
    ]);
  });

  it('copies only for new folders of a known root', () => {
    const [root] = LIST;
    const known = new Set(newStructure(LIST, new Set()).map(knownKey));
    for (const entry of LIST) {
      if (Buffer.from(entry.path).toString().startsWith('A/B')) known.delete(knownKey(entry));
    }
    const wanted = new Set(newStructure(LIST, known));
    expect(wanted.has(root as PushEntry)).toBe(false);
    const runs = foundingRuns(withAncestors(LIST, wanted), wanted);
    expect(runs.map(shown)).toEqual([
      ['.', TEMP, `${TEMP}/A`, `${TEMP}/A/B`, `${TEMP}/A/B/gocryptfs.diriv`],
    ]);
  });

  it('founds a layout without diriv with its conf, and copies .name files of new folders only', () => {
    const list = LIST.filter((e) => e.virtual !== 'diriv');
    const wanted = new Set(newStructure(list, new Set()));
    expect(foundingRuns(withAncestors(list, wanted), wanted).map(shown)).toEqual([
      ['.', 'gocryptfs.conf', TEMP, `${TEMP}/gocryptfs.longname.L.name`],
    ]);
    const [root, conf] = list;
    const later = new Set([...wanted].filter((e) => e !== root && e !== conf));
    expect(foundingRuns(withAncestors(list, later), later).map(shown)).toEqual([
      ['.', TEMP, `${TEMP}/gocryptfs.longname.L.name`],
    ]);
    const plain = list.filter((e) => e.virtual !== 'name');
    const folders = new Set([...later].filter((e) => e.virtual === undefined));
    expect(foundingRuns(withAncestors(plain, folders), folders)).toEqual([]);
  });

  it('is not needed when no folder is new', () => {
    const wanted = new Set(LIST.filter((e) => e.virtual === 'name'));
    expect(foundingRuns(withAncestors(LIST, wanted), wanted)).toEqual([]);
  });

  it('lists the temporary directory where it sorts', () => {
    const at = shown(withTempDir(LIST, { isEncrypted: true })).indexOf(TEMP);
    const names = shown(withTempDir(LIST, { isEncrypted: true }));
    expect(names[at - 1]).toBe('gocryptfs.longname.L/gocryptfs.diriv');
    expect(names[at + 1]).toBe('z');
  });

  it.each([
    { destination: '/srv/copy/', spellings: [TEMP, `/srv/copy/${TEMP}`] },
    { destination: '/', spellings: [`/${TEMP}`] },
    { destination: './', spellings: [TEMP] },
    { destination: 'copy/', spellings: [TEMP, `copy/${TEMP}`] },
    { destination: 'a/b/', spellings: [TEMP, `a/b/${TEMP}`] },
  ])('knows how to name it at $destination', ({ destination, spellings }) => {
    expect(tempDirSpellings(destination)).toEqual(spellings);
  });

  it('leaves out copies whose path would be too long to be sent', () => {
    const deep = (length: number): string => `A/${'d'.repeat(length - 'A/'.length)}`;
    const longest = 4095 - TEMP.length - 1 - '/gocryptfs.diriv'.length;
    const stagedPaths = (folder: string): readonly string[] => {
      const list = [
        entry('.'),
        entry('A/'),
        entry(`${folder}/`),
        virtual(`${folder}/gocryptfs.diriv`, 'diriv'),
      ];
      return shown(foundingRuns(list, new Set(list.slice(2))).flat());
    };
    expect(stagedPaths(deep(longest))).toContain(`${TEMP}/${deep(longest)}/gocryptfs.diriv`);
    expect(stagedPaths(deep(longest + 1))).toEqual([]);
  });
});
