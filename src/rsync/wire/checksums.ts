/** The strong checksums of a conversation: md4, md5 and xxh128. */
import { createHash } from 'node:crypto';
import { createMD4, createMD5, createXXHash128, type IHasher } from 'hash-wasm';
import { CF_CHKSUM_SEED_FIX } from './constants.ts';
import type { ChecksumName, Session } from './handshake.ts';

/** Digests of all three algorithms have this many bytes. */
export const CHECKSUM_LENGTH = 16;

/** A running digest over one input at a time: `digest` resets it for the next input. */
export interface RunningSum {
  update(data: Uint8Array): void;
  /** A new array of 16 bytes in wire order. */
  digest(): Uint8Array;
}

/**
 * The strong sums of one conversation:
 *
 *              block              file               list (-c)
 *   md4        data ‖ seed        seed ‖ data        data          protocols 27 … 29
 *   md5        seed ‖ data (1)    data               data          protocols 30 …
 *   xxh128     seeded             data               data          by negotiation
 *
 * (1) data ‖ seed without CF_CHKSUM_SEED_FIX. The seed is 4 bytes little-endian, and no bytes if it
 * is 0; xxh128 takes it as a number, sign-extended to 64 bits.
 *
 * @see rsync checksum.c get_checksum2, sum_init, file_checksum (3.5.0)
 */
export interface StrongSums {
  /** Sum of one block of a basis: 16 bytes. Peers compare only the first few. */
  block(data: Uint8Array): Uint8Array;
  /** The digest over a whole file as it is rebuilt. Only one file uses it at a time. */
  readonly file: RunningSum;
  /** A new digest for the sums in the file list; any number may be in use at a time. */
  createListSum(): Promise<RunningSum>;
}

/** The strong sums of the algorithm that the session agreed on. */
export async function createStrongSums(session: Session): Promise<StrongSums> {
  const { checksumName: name, seed, compatFlags } = session;
  const none = Buffer.alloc(0);
  const seedBytes = Buffer.alloc(seed === 0 ? 0 : 4);
  if (seed !== 0) seedBytes.writeInt32LE(seed, 0);
  const file = await createRunningSum(name, name === 'md4' ? seedBytes : none);
  const createListSum = (): Promise<RunningSum> => createRunningSum(name, none);
  if (name === 'xxh128') {
    const seeded = await createXXHash128(seed >>> 0, seed < 0 ? 0xffffffff : 0);
    const block = (data: Uint8Array): Uint8Array =>
      reversed(seeded.init().update(data).digest('binary'));
    return { block, file, createListSum };
  }
  const seedFirst = name === 'md5' && (compatFlags & CF_CHKSUM_SEED_FIX) !== 0;
  const blockSum = await createRunningSum(name, seedFirst ? seedBytes : none);
  const block = (data: Uint8Array): Uint8Array => {
    blockSum.update(data);
    if (!seedFirst) blockSum.update(seedBytes);
    return blockSum.digest();
  };
  return { block, file, createListSum };
}

/** Unseeded md5 whatever the session agreed on: it stands for a long extended attribute. */
export function createMd5Sum(): Promise<RunningSum> {
  return createRunningSum('md5', Buffer.alloc(0));
}

/** A running digest that puts `prefix` before every input. */
async function createRunningSum(name: ChecksumName, prefix: Uint8Array): Promise<RunningSum> {
  if (name === 'xxh128') return new WasmSum(await createXXHash128(), prefix, true);
  if (name === 'md4') return new WasmSum(await createMD4(), prefix, false);
  if (nodeSupportsMd5()) return new NodeMd5(prefix);
  return new WasmSum(await createMD5(), prefix, false);
}

/** A Node built for FIPS refuses md5. */
function nodeSupportsMd5(): boolean {
  try {
    createHash('md5');
    return true;
  } catch {
    return false; // hash-wasm's md5 is used instead
  }
}

class NodeMd5 implements RunningSum {
  readonly #prefix: Uint8Array;
  #hash = createHash('md5');

  constructor(prefix: Uint8Array) {
    this.#prefix = prefix;
    this.#hash.update(prefix);
  }

  update(data: Uint8Array): void {
    this.#hash.update(data);
  }

  digest(): Uint8Array {
    const digest = this.#hash.digest();
    this.#hash = createHash('md5').update(this.#prefix);
    return digest;
  }
}

class WasmSum implements RunningSum {
  readonly #hasher: IHasher;
  readonly #prefix: Uint8Array;
  readonly #reverse: boolean;

  constructor(hasher: IHasher, prefix: Uint8Array, reverse: boolean) {
    this.#hasher = hasher;
    this.#prefix = prefix;
    this.#reverse = reverse;
    hasher.init().update(prefix);
  }

  update(data: Uint8Array): void {
    this.#hasher.update(data);
  }

  digest(): Uint8Array {
    const digest = this.#hasher.digest('binary');
    this.#hasher.init().update(this.#prefix);
    return this.#reverse ? reversed(digest) : digest;
  }
}

/** xxh128 is sent low half first, each half little-endian: the usual digest reversed. */
function reversed(digest: Uint8Array): Uint8Array {
  return digest.reverse();
}
