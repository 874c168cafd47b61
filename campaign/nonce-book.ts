// Records every nonce of every ciphertext that a copy ever held, with its use: none may serve two
// plaintexts.
import { createHash } from 'node:crypto';
import { lstatSync, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { namesBelow } from './inside.ts';

const HEADER_BYTES = 18;
const NONCE_BYTES = 16;
const TAG_BYTES = 16;
const BLOCK_BYTES = 4096 + NONCE_BYTES + TAG_BYTES;

/** Nonces of the layout gcm, over all versions of one filesystem. */
export class NonceBook {
  readonly #used = new Map<string, { readonly digest: string; readonly where: string }>();

  get nonces(): number {
    return this.#used.size;
  }

  /**
   * Reads the present content of a copy. Returns every nonce that was used for something else
   * before.
   */
  read(copy: string): string[] {
    const findings: string[] = [];
    for (const name of namesBelow(copy)) {
      if (/(^|\/)gocryptfs\.(conf|diriv)$|\.name$|ecsync-tmp/.test(name)) continue;
      const file = path.join(copy, name);
      const stats = lstatSync(file);
      if (stats.isSymbolicLink()) {
        findings.push(...this.#take(Buffer.from(readlinkSync(file), 'base64url'), `${name} ->`));
      } else if (stats.isFile()) {
        const bytes = readFileSync(file);
        for (let at = HEADER_BYTES; at < bytes.length; at += BLOCK_BYTES) {
          findings.push(...this.#take(bytes.subarray(at, at + BLOCK_BYTES), `${name} at ${at}`));
        }
      }
    }
    return findings;
  }

  /**
   * The whole message counts, including its tag, which shows that it was bound to something else.
   */
  #take(message: Buffer, where: string): string[] {
    const nonce = message.subarray(0, NONCE_BYTES);
    if (nonce.length < NONCE_BYTES || nonce.every((byte) => byte === 0)) return [];
    const digest = createHash('sha256').update(message).digest('base64');
    const key = nonce.toString('base64');
    const before = this.#used.get(key);
    this.#used.set(key, before ?? { digest, where });
    if (before === undefined || before.digest === digest) return [];
    return [`nonce-twice: ${where} has the nonce of ${before.where}`];
  }
}
