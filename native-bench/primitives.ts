import { execFileSync } from 'node:child_process';
import { createHash, createSecretKey, randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { createMD5, createXXHash128 } from 'hash-wasm';
import type { CipherBackend, KeyedAead } from '../src/gocryptfs/cipher/cipher-backend.ts';
import { ContentEncryption } from '../src/gocryptfs/content/content.ts';
import { openGcmBlocks } from '../src/gocryptfs/content/gcm-blocks.ts';
import { GcmCipher } from '../src/gocryptfs/cipher/gcm-cipher.ts';
import { NATIVE_BACKEND } from '../src/gocryptfs/cipher/native-backend.ts';
import { SyntheticNonces } from '../src/gocryptfs/content/nonces.ts';
import { PURE_BACKEND } from '../src/gocryptfs/cipher/pure-backend.ts';
import { weakSum } from '../src/rsync/wire/weak-sum.ts';

const BLOCK_LENGTH = 4096;
const SOME_BLOCKS = 64;
const MEASURED_MS = 500;

/** Megabytes a second on one thread, of work that goes through one block at a time. */
function speedOf(work: (block: Uint8Array) => void): string {
  const block = randomBytes(BLOCK_LENGTH);
  for (let i = 0; i < SOME_BLOCKS; i++) work(block);
  const startedMs = performance.now();
  let blocks = 0;
  while (performance.now() - startedMs < MEASURED_MS) {
    for (let i = 0; i < SOME_BLOCKS; i++) work(block);
    blocks += SOME_BLOCKS;
  }
  const seconds = (performance.now() - startedMs) / 1000;
  return `${((blocks * BLOCK_LENGTH) / 1e6 / seconds).toFixed(0)} MB/s`;
}

function sealing(aead: KeyedAead, nonceLength: number): (block: Uint8Array) => void {
  const out = Buffer.alloc(BLOCK_LENGTH + 16);
  const nonce = randomBytes(nonceLength);
  const associated = randomBytes(24);
  return (plain) => aead.seal({ plain, nonce, associated }, out);
}

/** One line of `openssl speed` for blocks of 4 KiB: the native ceiling. */
function openssl(...words: string[]): string {
  const said = execFileSync(
    'openssl',
    ['speed', '-seconds', '1', '-bytes', String(BLOCK_LENGTH), ...words],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  ).toString();
  const kilobytes = /([\d.]+)k\s*$/.exec(said.trim())?.[1];
  return kilobytes === undefined ? '?' : `${(Number(kilobytes) / 1000).toFixed(0)} MB/s`;
}

/** Microseconds a block, of work that goes through `blocks` of them at once. */
function costOf(blocks: number, work: () => void): number {
  const times: number[] = [];
  for (let startedMs = performance.now(); performance.now() - startedMs < MEASURED_MS;) {
    const roundMs = performance.now();
    for (let i = 0; i < SOME_BLOCKS; i += blocks) work();
    times.push((1000 * (performance.now() - roundMs)) / SOME_BLOCKS);
  }
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? NaN;
}

/** Content blocks of a vault, nonce included: one by one, and in runs. */
function contentRows(): string[][] {
  const keys = {
    cipher: createSecretKey(randomBytes(32)),
    nonces: createSecretKey(randomBytes(32)),
  };
  const nonces = new SyntheticNonces(keys.nonces, 16);
  const cipher = new GcmCipher(keys.cipher);
  const openQuick = () => openGcmBlocks(keys, NATIVE_BACKEND);
  const ways = [{}, { openQuick }].map((way) => new ContentEncryption(cipher, nonces, way));
  const identity = { fileID: randomBytes(16) };
  return [64, 2, 1].map((blocks) => {
    const plain = randomBytes(blocks * BLOCK_LENGTH);
    const sealed = Buffer.alloc(plain.length + blocks * 32);
    const run = { firstBlock: 0, fileID: identity.fileID, sealed, holes: 'refused' } as const;
    const cells = ways.map((way) => {
      const encrypt = costOf(blocks, () => way.encryptBlocks({ ...run, identity, plain }, sealed));
      const decrypt = costOf(blocks, () => way.decryptBlocks(run, plain));
      return `${encrypt.toFixed(1)}, ${decrypt.toFixed(1)} µs`;
    });
    return [`${blocks}`, ...cells];
  });
}

/** What the building blocks do, beside the fastest there is on this machine. */
export async function primitives(): Promise<string> {
  const key = createSecretKey(randomBytes(32));
  const each = (work: (backend: CipherBackend) => (block: Uint8Array) => void): string[] =>
    [NATIVE_BACKEND, PURE_BACKEND].map((backend) => speedOf(work(backend)));
  const md5 = await createMD5();
  const xxh128 = await createXXHash128();
  const rows = [
    ['AES-256-GCM', ...each((b) => sealing(b.aesGcm(key), 16)), openssl('-evp', 'aes-256-gcm')],
    [
      'XChaCha20-Poly1305',
      ...each((b) => sealing(b.xchacha20Poly1305(key), 24)),
      `${openssl('-evp', 'chacha20-poly1305')} (ChaCha20)`,
    ],
    [
      'HMAC-SHA-256',
      ...each((b) => {
        const hmac = b.hmacSha256(key);
        return (block) => void hmac(block);
      }),
      openssl('-hmac', 'sha256'),
    ],
    [
      'MD5',
      speedOf((block) => void createHash('md5').update(block).digest()),
      `${speedOf((block) => void md5.init().update(block).digest('binary'))} (hash-wasm)`,
      openssl('-evp', 'md5'),
    ],
    [
      'xxh128',
      '',
      `${speedOf((block) => void xxh128.init().update(block).digest('binary'))} (hash-wasm)`,
      '',
    ],
    ['weak sum of a block', '', speedOf((block) => void weakSum(block, 0, block.length)), ''],
  ];
  const stock = execFileSync('gocryptfs', ['-speed'], { stdio: ['ignore', 'pipe', 'pipe'] });
  return [
    '| 4 KiB at a time, one thread | node:crypto | JavaScript, WebAssembly | openssl speed |',
    '| --- | --- | --- | --- |',
    ...rows.map((cells) => `| ${cells.join(' | ')} |`),
    '\n| blocks of content in a run: encrypt, decrypt, each | one by one | in runs |',
    '| --- | --- | --- |',
    ...contentRows().map((cells) => `| ${cells.join(' | ')} |`),
    `\n${stock.toString().trim()}`,
  ].join('\n');
}
