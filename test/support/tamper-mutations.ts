/** What somebody who controls the storage can do to a copy: one function for each change. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { HOLE_MUTATIONS } from './tamper-holes.ts';
import {
  at,
  before,
  blockOf,
  edit,
  flip,
  HEADER,
  keepingTime,
  type Mutation,
  type TamperedCopy,
} from './tampered-copy.ts';

const LARGE = ['docs/large-1', 'docs/large-2', 'media/large-3', 'large-4'];
const SMALL = ['docs/note', 'media/song', 'top', 'docs/inner/deep'];
const FLAGS_PLAIN = ['HKDF', 'GCMIV128', 'PlaintextNames'];

function large(copy: TamperedCopy): string {
  return at(copy, copy.dice.pick(LARGE));
}

function any(copy: TamperedCopy): string {
  return at(copy, copy.dice.pick([...LARGE, ...SMALL]));
}

function flipAt(where: (length: number, copy: TamperedCopy) => number): Mutation {
  return (copy) => edit(any(copy), (bytes) => flip(bytes, where(bytes.length, copy), copy.dice));
}

function cutTo(length: (copy: TamperedCopy) => number): Mutation {
  return (copy) => {
    const file = large(copy);
    keepingTime(file, () => fs.truncateSync(file, length(copy)));
  };
}

/** Exchanges two objects with everything that belongs to them. */
function swap(copy: TamperedCopy, one: string, other: string): void {
  const [a, b] = [at(copy, one), at(copy, other)];
  const between = path.join(copy.folder, 'between');
  fs.renameSync(a, between);
  fs.renameSync(b, a);
  fs.renameSync(between, b);
}

/** Puts other content in place of a file's, whose time and mode stay. */
function fillFrom(file: string, source: string): void {
  edit(file, () => fs.readFileSync(source));
}

function relink(link: string, target: string): void {
  fs.unlinkSync(link);
  fs.symlinkSync(target, link);
}

function inPlaceOf(make: (file: string, copy: TamperedCopy) => void): Mutation {
  return (copy) => {
    const file = at(copy, copy.dice.pick(SMALL));
    fs.unlinkSync(file);
    make(file, copy);
  };
}

function editConf({ folder }: TamperedCopy, change: (conf: Conf) => void): void {
  const file = path.join(folder, 'gocryptfs.conf');
  const conf = JSON.parse(fs.readFileSync(file, 'utf8')) as Conf;
  change(conf);
  keepingTime(file, () => fs.writeFileSync(file, `${JSON.stringify(conf, null, '\t')}\n`));
}

interface Conf {
  FeatureFlags: string[];
  EncryptedKey: string;
  LongNameMax?: number;
}

function copyTree(from: string, to: string): void {
  execFileSync('cp', ['-a', from, to]);
}

const LONG = `docs/${'l'.repeat(200)}`;
const LONG_TOO = `docs/${'m'.repeat(200)}`;

function nameFile(copy: TamperedCopy, plainPath: string): string {
  return `${at(copy, plainPath)}.name`;
}

function dirIV(copy: TamperedCopy, plainPath: string): string {
  return path.join(plainPath === '' ? copy.folder : at(copy, plainPath), 'gocryptfs.diriv');
}

/** Every mutation, by what it does. */
export const MUTATIONS: Readonly<Record<string, Mutation>> = {
  // Bits.
  'a bit of a version': (copy) =>
    edit(any(copy), (bytes) => flip(bytes, copy.dice.below(2), copy.dice)),
  'a bit of a file ID': flipAt((_, { dice }) => 2 + dice.below(16)),
  'a bit of a nonce': flipAt((_, { dice }) => HEADER + dice.below(16)),
  'a bit of the last block': flipAt((length, { dice }) => length - 1 - dice.below(16)),
  'a bit anywhere': flipAt((length, { dice }) => dice.below(length)),
  'a header of zeros': (copy) => edit(any(copy), (bytes) => bytes.fill(0, 0, HEADER)),
  // Lengths.
  'cut inside the header': cutTo(({ dice }) => 1 + dice.below(17)),
  'cut to the header': cutTo(() => HEADER),
  'cut inside a block': cutTo(({ block, dice }) => HEADER + block + 100 + dice.below(block - 200)),
  'cut at the end of a block': cutTo(({ block, dice }) => HEADER + block * (1 + dice.below(3))),
  'cut to nothing': cutTo(() => 0),
  'a few bytes more': (copy) =>
    edit(any(copy), (bytes) => Buffer.concat([bytes, Buffer.alloc(10, 7)])),
  // Blocks.
  'the first block zeros': (copy) =>
    edit(large(copy), (bytes) => void blockOf(bytes, 0, copy.block).fill(0)),
  'a block of zeros': (copy) =>
    edit(large(copy), (bytes) => void blockOf(bytes, 1 + copy.dice.below(3), copy.block).fill(0)),
  'all blocks zeros': (copy) => edit(at(copy, 'even'), (bytes) => bytes.fill(0, HEADER)),
  'a block of zeros more': (copy) =>
    edit(at(copy, 'even'), (bytes) => Buffer.concat([bytes, Buffer.alloc(copy.block)])),
  'very many blocks of zeros more': (copy) =>
    keepingTime(at(copy, 'even'), () =>
      fs.truncateSync(at(copy, 'even'), HEADER + copy.block * 20_000),
    ),
  'a small file of zeros only': (copy) =>
    edit(at(copy, 'top'), (bytes) =>
      Buffer.concat([bytes.subarray(0, HEADER), Buffer.alloc(copy.block * 2)]),
    ),
  'two blocks exchanged': (copy) =>
    edit(large(copy), (bytes) => {
      const first = Buffer.from(blockOf(bytes, 0, copy.block));
      blockOf(bytes, 1, copy.block).copy(bytes, HEADER);
      first.copy(bytes, HEADER + copy.block);
      return undefined;
    }),
  'a block twice': (copy) =>
    edit(large(copy), (bytes) => {
      blockOf(bytes, 0, copy.block).copy(bytes, HEADER + copy.block);
      return undefined;
    }),
  'a block of another file': (copy) =>
    edit(at(copy, 'docs/large-1'), (bytes) => {
      const other = fs.readFileSync(at(copy, 'docs/large-2'));
      blockOf(other, 1, copy.block).copy(bytes, HEADER + copy.block);
      return undefined;
    }),
  'a block taken out': (copy) =>
    edit(large(copy), (bytes) =>
      Buffer.concat([bytes.subarray(0, HEADER), bytes.subarray(HEADER + copy.block)]),
    ),
  ...HOLE_MUTATIONS,
  // Versions.
  'a block rolled back': (copy) =>
    edit(at(copy, 'docs/edited'), (bytes) => {
      const old = fs.readFileSync(before(copy, 'docs/edited'));
      blockOf(old, 1, copy.block).copy(bytes, HEADER + copy.block);
      return undefined;
    }),
  'a file rolled back': (copy) => {
    fs.rmSync(at(copy, 'docs/edited'));
    copyTree(before(copy, 'docs/edited'), at(copy, 'docs/edited'));
  },
  'a file rolled back under its new time': (copy) =>
    fillFrom(at(copy, 'docs/edited'), before(copy, 'docs/edited')),
  'a file rolled back to another length': (copy) =>
    fillFrom(at(copy, 'docs/grown'), before(copy, 'docs/grown')),
  'a file resurrected': (copy) => copyTree(before(copy, 'docs/gone'), at(copy, 'docs/gone')),
  'a folder resurrected': (copy) => copyTree(before(copy, 'left'), at(copy, 'left')),
  'a link resurrected': (copy) =>
    copyTree(before(copy, 'docs/gone-link'), at(copy, 'docs/gone-link')),
  'the name of a renamed file resurrected': (copy) =>
    copyTree(before(copy, 'docs/old-name'), at(copy, 'docs/old-name')),
  "a link's earlier target": (copy) =>
    relink(at(copy, 'docs/turned'), fs.readlinkSync(before(copy, 'docs/turned'))),
  'everything rolled back': (copy) => {
    fs.rmSync(copy.folder, { recursive: true });
    copyTree(copy.earlier, copy.folder);
  },
  // Exchanged and moved.
  'two files of a folder exchanged': (copy) => swap(copy, 'docs/large-1', 'docs/large-2'),
  'files of two folders exchanged': (copy) => swap(copy, 'docs/large-1', 'media/large-3'),
  'the content of two files exchanged': (copy) => {
    const [one, other] = [at(copy, 'docs/large-1'), at(copy, 'media/large-3')];
    const bytes = fs.readFileSync(one);
    fillFrom(one, other);
    edit(other, () => bytes);
  },
  'three files in a ring': (copy) => {
    swap(copy, 'docs/large-1', 'docs/large-2');
    swap(copy, 'docs/large-2', 'media/large-3');
  },
  'a file in place of another': (copy) => {
    fs.rmSync(at(copy, 'docs/large-1'));
    copyTree(at(copy, 'docs/large-2'), at(copy, 'docs/large-1'));
  },
  'the content of another file': (copy) =>
    fillFrom(at(copy, 'docs/large-1'), at(copy, 'media/large-3')),
  'the content of a deleted file': (copy) =>
    fillFrom(at(copy, 'docs/large-1'), before(copy, 'docs/gone')),
  'the content of a file of another length': (copy) =>
    fillFrom(at(copy, 'docs/note'), at(copy, 'media/song')),
  'two files made one': (copy) => {
    fs.rmSync(at(copy, 'docs/large-1'));
    fs.linkSync(at(copy, 'docs/large-2'), at(copy, 'docs/large-1'));
  },
  'a file in another folder': (copy) =>
    fs.renameSync(
      at(copy, 'docs/note'),
      path.join(at(copy, 'media'), path.basename(at(copy, 'docs/note'))),
    ),
  'two folders exchanged': (copy) => swap(copy, 'docs', 'media'),
  'folders of two folders exchanged': (copy) => swap(copy, 'docs/inner', 'media/inner'),
  'a folder in place of another': (copy) => {
    fs.rmSync(at(copy, 'media'), { recursive: true });
    copyTree(at(copy, 'docs'), at(copy, 'media'));
  },
  'a folder in place of the top': (copy) => {
    const conf = fs.readFileSync(path.join(copy.folder, 'gocryptfs.conf'));
    const inner = at(copy, 'docs');
    const kept = `${copy.folder}.kept`;
    copyTree(inner, kept);
    fs.rmSync(copy.folder, { recursive: true });
    fs.renameSync(kept, copy.folder);
    fs.writeFileSync(path.join(copy.folder, 'gocryptfs.conf'), conf);
  },
  // Directory IVs and names.
  "another folder's diriv": (copy) => fs.copyFileSync(dirIV(copy, 'media'), dirIV(copy, 'docs')),
  "another folder's diriv in an empty folder": (copy) =>
    fs.copyFileSync(dirIV(copy, 'media'), dirIV(copy, 'empty-folder')),
  'a bit of a diriv': (copy) =>
    edit(dirIV(copy, 'docs'), (bytes) => flip(bytes, copy.dice.below(16), copy.dice)),
  'a bit of the top diriv': (copy) =>
    edit(dirIV(copy, ''), (bytes) => flip(bytes, copy.dice.below(16), copy.dice)),
  'a diriv of zeros': (copy) => edit(dirIV(copy, 'docs'), (bytes) => bytes.fill(0)),
  'a diriv removed': (copy) => fs.rmSync(dirIV(copy, 'docs')),
  'a diriv cut': (copy) => fs.truncateSync(dirIV(copy, 'docs'), copy.dice.below(16)),
  'a .name file removed': (copy) => fs.rmSync(nameFile(copy, LONG)),
  'a bit of a .name file': (copy) =>
    edit(nameFile(copy, LONG), (bytes) => flip(bytes, copy.dice.below(bytes.length), copy.dice)),
  'the .name file of another name': (copy) =>
    fillFrom(nameFile(copy, LONG), nameFile(copy, LONG_TOO)),
  'a .name file without its object': (copy) => fs.rmSync(at(copy, LONG)),
  'a character of a name': (copy) => {
    const file = at(copy, 'docs/note');
    const name = path.basename(file);
    const index = copy.dice.below(name.length - 1);
    const letter = name[index] === 'Q' ? 'R' : 'Q';
    fs.renameSync(
      file,
      path.join(path.dirname(file), name.slice(0, index) + letter + name.slice(index + 1)),
    );
  },
  'a foreign file': (copy) => fs.writeFileSync(path.join(at(copy, 'docs'), 'foreign'), 'x'),
  'a conf below the top': (copy) =>
    fs.copyFileSync(
      path.join(copy.folder, 'gocryptfs.conf'),
      path.join(at(copy, 'docs'), 'gocryptfs.conf'),
    ),
  // What is there.
  'a file removed': (copy) => fs.rmSync(any(copy)),
  'an empty file removed': (copy) => fs.rmSync(at(copy, 'docs/empty')),
  'a folder removed': (copy) => fs.rmSync(at(copy, 'docs/inner'), { recursive: true }),
  'an empty folder removed': (copy) => fs.rmSync(at(copy, 'empty-folder'), { recursive: true }),
  'a link removed': (copy) => fs.rmSync(at(copy, 'docs/link')),
  'a pipe removed': (copy) => fs.rmSync(at(copy, 'pipe')),
  'a pipe in place of a file': inPlaceOf((file) => void execFileSync('mkfifo', [file])),
  'a device in place of a file': inPlaceOf(
    (file) => void execFileSync('mknod', [file, 'c', '1', '3']),
  ),
  'a folder in place of a file': inPlaceOf((file) => fs.mkdirSync(file)),
  'a folder with a diriv in place of a file': inPlaceOf((file, copy) => {
    fs.mkdirSync(file);
    fs.copyFileSync(dirIV(copy, 'empty-folder'), path.join(file, 'gocryptfs.diriv'));
  }),
  'a plain link in place of a file': inPlaceOf((file) => fs.symlinkSync('/etc/passwd', file)),
  "another link's target in place of a file": inPlaceOf((file, copy) =>
    fs.symlinkSync(fs.readlinkSync(at(copy, 'docs/link')), file),
  ),
  'an empty file in place of a link': (copy) => {
    fs.rmSync(at(copy, 'docs/link'));
    fs.writeFileSync(at(copy, 'docs/link'), '');
  },
  // Links.
  'a character of a target': (copy) => {
    const target = fs.readlinkSync(at(copy, 'docs/link'));
    const index = copy.dice.below(target.length - 1);
    const letter = target[index] === 'Q' ? 'R' : 'Q';
    relink(at(copy, 'docs/link'), target.slice(0, index) + letter + target.slice(index + 1));
  },
  'a plain target': (copy) => relink(at(copy, 'docs/link'), '/etc/passwd'),
  'two targets exchanged': (copy) => {
    const [one, other] = [at(copy, 'docs/link'), at(copy, 'media/link')];
    const targets = [fs.readlinkSync(one), fs.readlinkSync(other)];
    relink(one, targets[1] ?? '');
    relink(other, targets[0] ?? '');
  },
  "another link's target": (copy) =>
    relink(at(copy, 'docs/link'), fs.readlinkSync(at(copy, 'media/link'))),
  // Attributes.
  'the mode of a file': (copy) => fs.chmodSync(at(copy, 'docs/note'), 0o4755),
  'the mode of a folder': (copy) => fs.chmodSync(at(copy, 'docs'), 0o777),
  'the time of a file': (copy) => fs.utimesSync(at(copy, 'docs/note'), 1e9, 1e9),
  'the time of a folder': (copy) => fs.utimesSync(at(copy, 'docs'), 1e9, 1e9),
  // The conf.
  'the conf removed': ({ folder }) => fs.rmSync(path.join(folder, 'gocryptfs.conf')),
  'a bit of the wrapped key': (copy) =>
    editConf(copy, (conf) => {
      const key = Buffer.from(conf.EncryptedKey, 'base64');
      flip(key, 20 + copy.dice.below(32), copy.dice);
      conf.EncryptedKey = key.toString('base64');
    }),
  'plaintext names in the conf': (copy) => {
    editConf(copy, (conf) => {
      const kept = conf.FeatureFlags.filter((flag) => /AESSIV|XChaCha/.test(flag));
      const base = kept.includes('XChaCha20Poly1305')
        ? FLAGS_PLAIN.filter((flag) => flag !== 'GCMIV128')
        : FLAGS_PLAIN;
      conf.FeatureFlags = [...base, ...kept];
    });
    for (const name of fs.readdirSync(copy.folder, { recursive: true, encoding: 'utf8' })) {
      if (path.basename(name) === 'gocryptfs.diriv') fs.rmSync(path.join(copy.folder, name));
    }
  },
  'deterministic names in the conf': (copy) =>
    editConf(copy, (conf) => {
      conf.FeatureFlags = conf.FeatureFlags.filter((flag) => flag !== 'DirIV');
    }),
  'no long names in the conf': (copy) =>
    editConf(copy, (conf) => {
      conf.FeatureFlags = conf.FeatureFlags.filter((flag) => flag !== 'LongNames');
    }),
  'a limit for names in the conf': (copy) =>
    editConf(copy, (conf) => {
      conf.FeatureFlags.push('LongNameMax');
      conf.LongNameMax = 100;
    }),
};
