import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { isRegularFile, type OpenFile } from '../../../src/tree/entry.ts';
import type { LocalEntry } from '../../../src/tree/local/local-entry.ts';
import { LocalTree } from '../../../src/tree/local/local-tree.ts';
import { walk } from '../../../src/tree/walk.ts';
import { run, type ServedRsync, type StockRun } from '../../support/served-rsync.ts';

/** Source, and two destinations: ours and stock rsync's. */
export class Bench {
  readonly root = fs.mkdtempSync(join(tmpdir(), 'ecsync-served-'));
  readonly source = join(this.root, 'src');
  readonly ours = join(this.root, 'ours');
  readonly stocks = join(this.root, 'stocks');
  #age = 10;
  readonly #shell = join(this.root, 'shell');

  constructor() {
    for (const folder of [this.source, this.ours, this.stocks]) fs.mkdirSync(folder);
    fs.writeFileSync(this.#shell, '#!/bin/sh\nshift\nexec "$@"\n', { mode: 0o755 });
  }

  /** Runs shell text in the source, then makes both destinations equal copies of it if `seed`. */
  prepare(script: string, seed = false): void {
    execFileSync('sh', ['-ec', script + this.#ageing()], { cwd: this.source });
    if (!seed) return;
    for (const folder of [this.ours, this.stocks]) {
      execFileSync('rsync', ['-aH', '--delete', `${this.source}/`, `${folder}/`]);
    }
  }

  /** Runs shell text in both destinations. */
  prepareDestinations(script: string): void {
    const aged = script + this.#ageing();
    for (const cwd of [this.ours, this.stocks]) execFileSync('sh', ['-ec', aged], { cwd });
  }

  /**
   * Sets the time of a changed file to a distinct one long ago: the quick check would miss a change
   * within the same second.
   */
  #ageing(): string {
    this.#age++;
    const fresh = `find . -mmin -60 ! -newermt '+1 day'`;
    return `\n${fresh} -exec touch -h -d @${1_577_836_800 + this.#age} {} +`;
  }

  /** The same push to our server and to stock's. */
  async push(served: ServedRsync, args: readonly string[]): Promise<[StockRun, StockRun]> {
    const ours = await served.push([...args, `${this.source}/`, `host:${this.ours}/`]);
    const stock = await run('rsync', [
      ...['-e', this.#shell],
      ...args,
      ...[`${this.source}/`, `host:${this.stocks}/`],
    ]);
    return [ours, stock];
  }

  remove(): void {
    fs.rmSync(this.root, { recursive: true, force: true });
  }
}

/** All properties of a folder that a copy must have; times to the microsecond. */
export async function snapshot(folder: string): Promise<Record<string, string>> {
  const tree = new LocalTree(folder);
  const facts: Record<string, string> = {};
  for await (const entries of walk(tree)) {
    for (const entry of entries) {
      const content = isRegularFile(entry) ? await digest(await tree.open(entry)) : '';
      const target = entry.target === undefined ? '' : Buffer.from(entry.target).toString('latin1');
      facts[Buffer.from(entry.path).toString('latin1')] = [
        entry.mode.toString(8),
        isRegularFile(entry) ? entry.size : '-',
        `${entry.mtimeSec}.${Math.floor(entry.mtimeNsec / 1e6)}`,
        `${entry.uid}:${entry.gid}`,
        JSON.stringify(entry.rdev ?? null),
        target,
        content,
      ].join(' ');
    }
  }
  return facts;
}

async function digest(file: OpenFile): Promise<string> {
  const hash = createHash('md5');
  for (let at = 0; at < file.size; at += 1 << 20) hash.update(await file.read(at, 1 << 20));
  await file.close();
  return hash.digest('hex');
}

/** The groups of names that share an inode. */
export async function linkGroups(folder: string): Promise<string[][]> {
  const groups = new Map<number, string[]>();
  const entries: LocalEntry[] = [];
  for await (const part of walk(new LocalTree(folder))) entries.push(...part);
  for (const { linkGroup, path } of entries) {
    if (linkGroup === undefined) continue;
    groups.set(linkGroup, [...(groups.get(linkGroup) ?? []), Buffer.from(path).toString()]);
  }
  return [...groups.values()].map((names) => names.sort()).sort();
}

/** Lines of an itemised output, in an order independent of the server. */
export function items(run: StockRun): string[] {
  return run.stdout
    .split('\n')
    .filter((line) => line !== '')
    .sort();
}

/** An element of a random tree: a path, and a file, symlink or folder at it. */
type Shape = [string[], { kind: string; size: number }][];

const shapeName = fc.constantFrom('a', 'b', 'a-b', 'c', '.d', 'ü', ' ');
const shapeObject = fc.oneof(
  fc.record({ kind: fc.constant('file'), size: fc.nat(3000) }),
  fc.record({ kind: fc.constant('link'), size: fc.nat(3) }),
  fc.record({ kind: fc.constant('dir'), size: fc.constant(0) }),
);
export const randomShape: fc.Arbitrary<Shape> = fc.array(
  fc.tuple(fc.array(shapeName, { minLength: 1, maxLength: 3 }), shapeObject),
  { maxLength: 15 },
);

/** Creates a random tree in a folder; of two conflicting objects the first one counts. */
export function buildShape(root: string, shape: Shape): void {
  for (const [path, { kind, size }] of shape) {
    const full = join(root, ...path);
    try {
      fs.mkdirSync(join(full, '..'), { recursive: true });
      if (kind === 'file') fs.writeFileSync(full, Buffer.alloc(size, size));
      else if (kind === 'link') fs.symlinkSync('x'.repeat(size + 1), full);
      else fs.mkdirSync(full);
    } catch {
      // The name is taken by another type; the tree is random in any case.
    }
  }
}
