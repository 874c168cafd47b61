// Random histories of a real folder, pushed to a model of a server: the copy holds the right content under the right births.
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { beforeAll, expect, it } from 'vitest';
import { serialiseConf } from '../../../../src/gocryptfs/conf/config.ts';
import { createConf } from '../../../../src/gocryptfs/conf/keys.ts';
import { readMoves, type Moves, type MoveStores } from '../../../../src/sync/push/memory/moves.ts';
import type { PushEntry } from '../../../../src/sync/push/source/push-entry.ts';
import { takeSnapshot } from '../../../../src/sync/push/source/snapshot.ts';
import { isRegularFile } from '../../../../src/tree/entry.ts';
import { LocalTree } from '../../../../src/tree/local/local-tree.ts';
import { EncryptedView } from '../../../../src/view/encrypt/encrypted-view.ts';

const RUNS = 40;
/** The same histories in every run of the tests. */
const SEED = 61;
const NAMES = ['a', 'b', 'c', 'd/a', 'd/b', 'e/a'] as const;
const FOLDERS = ['d', 'e'] as const;

/** How a push goes: what it may leave behind, and what the server does for it. */
interface Manner {
  readonly deletes: boolean;
  readonly hardLinks: boolean;
  /** The server gives moved files their new names. */
  readonly links: boolean;
}

type Step =
  | { readonly do: 'write' | 'replace' | 'remove'; readonly at: string }
  | { readonly do: 'rename' | 'swap' | 'link'; readonly at: string; readonly to: string }
  | { readonly do: 'save' | 'rollBack' | 'swapFolders' }
  | ({ readonly do: 'push' } & Manner);

const name = fc.constantFrom(...NAMES);

function stepsWith(pushes: fc.Arbitrary<Manner>): fc.Arbitrary<Step[]> {
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({ do: fc.constantFrom('write', 'replace', 'remove'), at: name }),
    {
      arbitrary: fc.record({ do: fc.constantFrom('rename', 'swap', 'link'), at: name, to: name }),
      weight: 2,
    },
    fc.record({ do: fc.constantFrom('save', 'rollBack', 'swapFolders') }),
    pushes.map((manner) => ({ do: 'push' as const, ...manner })),
  );
  return fc.array(step, { minLength: 4, maxLength: 40, size: 'max' });
}

const anyManner = fc.record({
  deletes: fc.boolean(),
  hardLinks: fc.boolean(),
  links: fc.boolean(),
});

/** A file of the copy. */
interface Stored {
  readonly birth: string;
  readonly content: string;
  readonly size: number;
  readonly mtimeSec: number;
}

let conf: Uint8Array;
let masterkey: Buffer;
beforeAll(async () => {
  const settings = { password: Buffer.from('x'), scryptLogN: 10, creator: 'test' };
  const made = await createConf(settings);
  conf = serialiseConf(made.conf);
  ({ masterkey } = made);
});

/** A folder, its vault's memory, and the copy as the server has it. */
class History {
  readonly dir = mkdtempSync(path.join(tmpdir(), 'ecsync-births-'));
  readonly #source = path.join(this.dir, 'source');
  readonly #saved = path.join(this.dir, 'saved');
  readonly #copy = new Map<string, Stored>();
  #births: Uint8Array | undefined;
  #locations: Uint8Array | undefined;
  #written = 0;

  readonly #writesPerSecond: number;

  constructor(writesPerSecond: number) {
    this.#writesPerSecond = writesPerSecond;
    for (const folder of FOLDERS) mkdirSync(this.#at(folder), { recursive: true });
  }

  async take(one: Step): Promise<void> {
    switch (one.do) {
      case 'push':
        await this.#push(one);
        break;
      case 'save':
      case 'rollBack':
      case 'swapFolders':
        this.#change(one.do);
        break;
      case 'rename':
      case 'swap':
      case 'link':
        if (existsSync(this.#at(one.at))) this.#move(one.do, this.#at(one.at), this.#at(one.to));
        break;
      case 'remove':
        rmSync(this.#at(one.at), { force: true });
        break;
      case 'write':
      case 'replace':
        this.#write(this.#at(one.at), one.do === 'replace');
    }
  }

  #at(name: string): string {
    return path.join(this.#source, name);
  }

  /** Every content has a time of its own; sizes, and maybe seconds, are shared by several. */
  #write(file: string, isNew: boolean): void {
    if (isNew) rmSync(file, { force: true });
    const number = this.#written++;
    writeFileSync(file, String(number).padStart(6 + (number % 2)));
    // None of them at the beginning of a second, exact to the nanosecond as doubles.
    const share = this.#writesPerSecond;
    const time = 1_600_000_000 + Math.floor(number / share) + ((number % share) + 1) / 8;
    lutimesSync(file, time, time);
  }

  #move(how: 'rename' | 'swap' | 'link', at: string, to: string): void {
    if (at === to) return;
    if (how === 'rename') renameSync(at, to);
    else if (how === 'link') {
      rmSync(to, { force: true });
      linkSync(at, to);
    } else if (existsSync(to)) {
      const aside = path.join(this.dir, 'aside');
      renameSync(at, aside);
      renameSync(to, at);
      renameSync(aside, to);
    }
  }

  #change(how: 'save' | 'rollBack' | 'swapFolders'): void {
    if (how === 'swapFolders') {
      this.#move('swap', this.#at('d'), this.#at('e'));
      return;
    }
    const [from, to] = how === 'save' ? [this.#source, this.#saved] : [this.#saved, this.#source];
    if (!existsSync(from)) return;
    rmSync(to, { recursive: true, force: true });
    execFileSync('cp', ['-a', from, to]);
  }

  async #push({ deletes, hardLinks, links }: Manner): Promise<void> {
    const plain = new LocalTree(this.#source);
    const view = new EncryptedView(plain, { conf: { bytes: conf, mtimeSec: 0 }, masterkey });
    const snapshot = await takeSnapshot(view, {
      signal: new AbortController().signal,
      hardLinks,
      sawFailure: () => false,
      onCount: () => undefined,
    });
    const from = { source: this.#source, snapshot, view, isPart: false, isFiltered: false };
    const books = readMoves(this.#stores(), from);
    const { moves, births } = books;
    const birthOf = ({ plain: { path: at } }: PlainFile): string => {
      const { path: born, counter } = births.of(at) ?? { path: at, counter: 0 };
      return `${text(born)}#${counter}`;
    };
    const linked = links ? this.#link(moves.files) : new Set<PushEntry>();
    const files = snapshot.entries.filter(isPlainFile);
    const unlinked = [...moves.origins.keys()].filter((entry) => !linked.has(entry));
    this.#send(files, birthOf, new Set([...moves.suspects, ...unlinked]));
    if (deletes) {
      const there = new Set(files.map(({ plain: { path: at } }) => text(at)));
      for (const at of [...this.#copy.keys()]) if (!there.has(at)) this.#copy.delete(at);
    }
    books.save(() => !deletes);
    const firsts = firstNames(files);
    for (const file of files) {
      const expected = birthOf(firsts.get(file.linkGroup ?? -1) ?? file);
      const at = text(file.plain.path);
      const { birth, content } = this.#copy.get(at) ?? {};
      expect({ at, birth, content }).toEqual({
        at,
        birth: expected,
        content: readFileSync(this.#at(at), 'latin1'),
      });
    }
  }

  #stores(): MoveStores {
    return {
      births: { read: () => this.#births, write: (bytes) => (this.#births = bytes) },
      locations: { read: () => this.#locations, write: (bytes) => (this.#locations = bytes) },
    };
  }

  #link(moved: Moves['files']): ReadonlySet<PushEntry> {
    const linked = new Set<PushEntry>();
    const before = new Map(this.#copy);
    for (const { entry, from } of moved) {
      const there = before.get(text(from.path));
      const isSame = there?.size === from.size && there.mtimeSec === from.mtimeSec;
      if (!isSame || !isPlainFile(entry)) continue;
      this.#copy.set(text(entry.plain.path), there);
      linked.add(entry);
    }
    return linked;
  }

  /** Files that differ by size or second, and those that are sent in any case. */
  #send(
    files: readonly PlainFile[],
    birthOf: (file: PlainFile) => string,
    suspects: ReadonlySet<PushEntry>,
  ): void {
    const firsts = firstNames(files);
    for (const file of files) {
      const { size, mtimeSec, linkGroup } = file;
      const at = text(file.plain.path);
      const first = linkGroup === undefined ? file : (firsts.get(linkGroup) ?? file);
      if (first !== file) {
        const linked = this.#copy.get(text(first.plain.path));
        if (linked !== undefined) this.#copy.set(at, linked);
        continue;
      }
      const there = this.#copy.get(at);
      const isSame = there?.size === size && there.mtimeSec === mtimeSec;
      const group = files.filter((one) => one === file || one.linkGroup === (linkGroup ?? NaN));
      if (isSame && !group.some((one) => suspects.has(one))) continue;
      const content = readFileSync(this.#at(at), 'latin1');
      this.#copy.set(at, { birth: birthOf(file), content, size, mtimeSec });
    }
  }
}

type PlainFile = PushEntry & { readonly plain: NonNullable<PushEntry['plain']> };

function isPlainFile(entry: PushEntry): entry is PlainFile {
  return entry.plain !== undefined && isRegularFile(entry);
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}

/** The first name of each group of hard links, which is the one that is sent. */
function firstNames(files: readonly PlainFile[]): ReadonlyMap<number, PlainFile> {
  const firsts = new Map<number, PlainFile>();
  for (const file of files) {
    const { linkGroup } = file;
    if (linkGroup !== undefined && !firsts.has(linkGroup)) firsts.set(linkGroup, file);
  }
  return firsts;
}

const CASES = [
  {
    title: 'pushes that delete, several writes in a second',
    pushes: anyManner.map((manner) => ({ ...manner, deletes: true })),
    writesPerSecond: 7,
  },
  {
    // Where the server neither links nor deletes, `verify` tells a file that comes back to a name that it had.
    title: 'any pushes, a second for each write',
    pushes: anyManner.filter(({ deletes, links }) => deletes || links),
    writesPerSecond: 1,
  },
];

it.each(CASES)(
  'the copy holds what the source holds, under the births that the vault expects: $title',
  { timeout: 120_000 },
  async ({ pushes, writesPerSecond }) => {
    await fc.assert(
      fc.asyncProperty(stepsWith(pushes), async (steps) => {
        const history = new History(writesPerSecond);
        try {
          for (const one of steps) await history.take(one);
        } finally {
          rmSync(history.dir, { recursive: true });
        }
      }),
      { numRuns: RUNS, seed: SEED },
    );
  },
);
