// Random sealed lists, and a place in memory for their chunks.
import fc from 'fast-check';
import { packChunk } from '../../src/seal/chunk.ts';
import { SealedListBuilder, type SealedList } from '../../src/seal/list-builder.ts';
import type { FetchChunk } from '../../src/seal/list-reader.ts';
import {
  compareSealedPaths,
  SealedKind,
  type SealedFile,
  type SealedObject,
} from '../../src/seal/sealed-object.ts';

/** Chunks by their digests, and which were fetched. */
export class ChunkShelf {
  readonly chunks = new Map<string, Buffer>();
  readonly fetched: string[] = [];

  readonly fetch: FetchChunk = (digest) => {
    const name = Buffer.from(digest).toString('hex');
    this.fetched.push(name);
    const chunk = this.chunks.get(name);
    return chunk === undefined ? Promise.reject(new Error(`no ${name}`)) : Promise.resolve(chunk);
  };

  builder(made?: string[]): SealedListBuilder {
    return new SealedListBuilder(({ digest, bytes }) => {
      const name = Buffer.from(digest).toString('hex');
      made?.push(name);
      this.chunks.set(name, packChunk(bytes));
    });
  }

  store(objects: Iterable<SealedObject>): SealedList {
    const builder = this.builder();
    for (const object of objects) builder.add(object);
    return builder.finish();
  }
}

/** Objects in order, each path once. */
export function inOrder(objects: readonly SealedObject[]): SealedObject[] {
  const byPath = new Map(objects.map((one) => [Buffer.from(one.path).toString('latin1'), one]));
  return [...byPath.values()].sort((a, b) => compareSealedPaths(a.path, b.path));
}

/** A file as most are. */
export function plainFile(path: string, content = 0): SealedFile {
  const contentId = Buffer.alloc(16);
  contentId.writeUInt32LE(content);
  const times = { mtimeSec: 1_700_000_000 + (content % 1000), mtimeNsec: content };
  const rights = { mode: 0o644, uid: 1000, gid: 1000 };
  const own = { path: Buffer.from(path), size: content, contentId };
  return { kind: SealedKind.file, ...own, ...rights, ...times };
}

/** So many files in folders of a hundred. */
export function manyFiles(count: number): SealedObject[] {
  const files: SealedObject[] = [];
  for (let i = 0; i < count; i++) files.push(plainFile(`d${Math.floor(i / 100)}/file ${i}`, i));
  return inOrder(files);
}

const name = fc
  .uint8Array({ minLength: 1, maxLength: 3 })
  .map((bytes) => Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0x61 : byte))))
  .filter((bytes) => !['.', '..'].includes(bytes.toString('latin1')));
const path = fc
  .array(name, { maxLength: 4 })
  .map((names) => Buffer.from(names.map((one) => one.toString('latin1')).join('/'), 'latin1'));
const optional = <T>(one: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(one, { nil: undefined });
const bytes16 = fc.uint8Array({ minLength: 16, maxLength: 16 });
const xattrs = fc
  .uniqueArray(
    fc.record({
      name: fc.uint8Array({ minLength: 1, maxLength: 4 }),
      value: fc.uint8Array({ maxLength: 5 }),
    }),
    { minLength: 1, maxLength: 3, selector: (one) => Buffer.from(one.name).toString('hex') },
  )
  .map((list) => list.sort((a, b) => Buffer.compare(a.name, b.name)));

const attributes = fc.record({
  mode: fc.constantFrom(0o644, 0o755, 0o7777, 0),
  uid: fc.constantFrom(0, 1000, 0xffff_ffff),
  gid: fc.constantFrom(0, 1000, 0xffff_ffff),
  mtimeSec: fc.oneof(fc.integer(), fc.constantFrom(-(2 ** 45), 2 ** 45)),
  mtimeNsec: fc.integer({ min: 0, max: 999_999_999 }),
  xattrs: optional(xattrs),
});

const number32 = fc.constantFrom(0, 7, 0xffff_ffff);
const rdev = fc.record({ major: number32, minor: number32 });
const own: fc.Arbitrary<object> = fc.oneof(
  fc.record({ kind: fc.constant(SealedKind.folder), identity: optional(bytes16) }),
  fc.record({
    kind: fc.constant(SealedKind.file),
    size: fc.maxSafeNat(),
    contentId: optional(bytes16),
    identity: optional(bytes16),
  }),
  fc.record({ kind: fc.constant(SealedKind.symlink), target: fc.uint8Array() }),
  fc.record({ kind: fc.constantFrom(SealedKind.pipe, SealedKind.socket) }),
  fc.record({
    kind: fc.constantFrom(SealedKind.characterDevice, SealedKind.blockDevice),
    rdev,
  }),
);

/** Any object but a link. */
export const anyObject: fc.Arbitrary<SealedObject> = fc
  .tuple(path, attributes, own)
  .map(([where, ...parts]) => {
    const all = Object.assign({ path: where }, ...parts) as Record<string, unknown>;
    const present = Object.entries(all).filter(([, value]) => value !== undefined);
    return Object.fromEntries(present) as unknown as SealedObject;
  });

/** A list of any objects, the last of them with a link to the first. */
export const anyList: fc.Arbitrary<SealedObject[]> = fc
  .array(anyObject, { maxLength: 40 })
  .map((some) => {
    const objects = inOrder(some);
    const [first] = objects;
    const last = objects.at(-1);
    if (first === undefined || last === undefined || first === last) return objects;
    return [
      ...objects.slice(0, -1),
      { kind: SealedKind.link, path: last.path, target: first.path },
    ];
  });
