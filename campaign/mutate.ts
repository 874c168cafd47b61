// Changes bytes at random in ways that break parsers: bits, limits of numbers, pieces that are
// doubled, moved or removed.
import type { Random } from '../test/support/random-tree.ts';

const NUMBERS = [
  ...[0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff],
  ...[0x80000000, 0xffffffff, 0xfffffffe, 0x10000, 0x1000000],
] as const;
const WORDS = [
  '..',
  '/',
  '\0',
  '\n',
  '%',
  '"',
  "'",
  '\\',
  '{',
  '}',
  '[',
  '=',
  '-1',
  '1e99',
  '\u202e',
];

type Mutation = (bytes: Buffer, random: Random) => Buffer;

function cutOut(bytes: Buffer, random: Random): [number, number] {
  const start = random.below(bytes.length + 1);
  return [start, Math.min(bytes.length, start + 1 + random.below(40))];
}

function inserted(bytes: Buffer, at: number, piece: Uint8Array): Buffer {
  return Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)]);
}

const MUTATIONS: readonly [Mutation, ...Mutation[]] = [
  (bytes, random) => {
    const at = random.below(Math.max(1, bytes.length));
    if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
    return bytes;
  },
  (bytes, random) => {
    const at = random.below(Math.max(1, bytes.length));
    if (at < bytes.length) bytes[at] = random.below(256);
    return bytes;
  },
  (bytes, random) => {
    const number = NUMBERS[random.below(NUMBERS.length)] ?? 0;
    if (bytes.length < 4) return bytes;
    const at = random.below(bytes.length - 3);
    if (random.oneIn(2)) bytes.writeUInt32LE(number, at);
    else bytes.writeUInt32BE(number, at);
    return bytes;
  },
  (bytes, random) => bytes.subarray(0, random.below(bytes.length + 1)),
  (bytes, random) => {
    const [start, end] = cutOut(bytes, random);
    return Buffer.concat([bytes.subarray(0, start), bytes.subarray(end)]);
  },
  (bytes, random) => {
    const [start, end] = cutOut(bytes, random);
    return inserted(bytes, random.below(bytes.length + 1), bytes.subarray(start, end));
  },
  (bytes, random) =>
    inserted(bytes, random.below(bytes.length + 1), random.bytes(1 + random.below(9))),
  (bytes, random) => {
    const word = WORDS[random.below(WORDS.length)] ?? '';
    return inserted(bytes, random.below(bytes.length + 1), Buffer.from(word));
  },
  (bytes, random) => {
    const [start, end] = cutOut(bytes, random);
    const piece = bytes.subarray(start, end);
    return inserted(bytes, start, Buffer.concat(Array<Buffer>(1 + random.below(200)).fill(piece)));
  },
];

/** A changed copy of one of the samples, or occasionally random bytes. */
export function mutated(samples: readonly Uint8Array[], random: Random): Buffer {
  if (random.oneIn(25)) return random.bytes(random.below(300));
  let bytes = Buffer.from(samples[random.below(samples.length)] ?? []);
  for (let changes = 1 + random.below(4); changes > 0; changes--) {
    bytes = Buffer.from(random.pick(MUTATIONS)(bytes, random));
  }
  return bytes;
}
