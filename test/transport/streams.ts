import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';

export async function readAll(input: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of input) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** SHA-256 of 200 MiB of zeros. */
export const ZEROS_200_MIB = ((): string => {
  const hash = createHash('sha256');
  const mib = Buffer.alloc(1024 * 1024);
  for (let i = 0; i < 200; i++) hash.update(mib);
  return hash.digest('hex');
})();

export async function sha256(input: Readable, options: { pauseEvery: number }): Promise<string> {
  const hash = createHash('sha256');
  let next = options.pauseEvery;
  let total = 0;
  for await (const chunk of input) {
    hash.update(chunk as Buffer);
    total += (chunk as Buffer).length;
    if (total < next) continue;
    next += options.pauseEvery;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return hash.digest('hex');
}

/** Writes with back-pressure, in pieces of an odd size, and ends the stream. */
export async function sendZeros(output: Writable, mib: number): Promise<void> {
  const piece = Buffer.alloc(40_000);
  for (let left = mib * 1024 * 1024; left > 0; left -= piece.length) {
    const ok = output.write(left < piece.length ? piece.subarray(0, left) : piece);
    if (!ok) await once(output, 'drain');
  }
  output.end();
}
