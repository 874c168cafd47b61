/**
 * A thread that decrypts and writes runs for {@link DecryptionPool}; Node starts this file as the
 * worker.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { openContent } from '../../gocryptfs/layout.ts';
import { PLAIN_BLOCK_SIZE } from '../../gocryptfs/format/limits.ts';
import { writeAt } from '../../tree/target/write-at.ts';
import type { DecryptionJob, DecryptionKeys, DecryptionOutcome } from './decryption-jobs.ts';
import { decryptRun, DECRYPTED_BLOCKS } from './decryption-run.ts';
import { errnoOf } from '../../platform.ts';
import { contentPieces } from '../hole-rule.ts';

const { flags, ...keys } = workerData as DecryptionKeys;
const content = openContent({ ...keys, flags: new Set(flags) });
const plain = Buffer.allocUnsafeSlow(DECRYPTED_BLOCKS * PLAIN_BLOCK_SIZE);

function decrypt({ memory, fd, ...job }: DecryptionJob): DecryptionOutcome {
  const buffer = Buffer.from(memory);
  const outcome = decryptRun(content, { ...job, buffer }, plain);
  if (!('length' in outcome)) {
    const { blockNo, error } = outcome;
    const { code, message, hint } = error;
    return { kind: 'damaged', blockNo, code, message, ...(hint !== undefined && { hint }) };
  }
  try {
    const start = job.firstBlock * PLAIN_BLOCK_SIZE;
    for (const { from, to } of contentPieces(buffer.subarray(0, job.length), content.overhead)) {
      writeAt(fd, plain.subarray(from, to), start + from);
    }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { kind: 'failed', errno: errnoOf(error), message };
  }
  return { kind: 'written', ...outcome };
}

parentPort?.on('message', (job: DecryptionJob) => {
  const { memory } = job;
  parentPort?.postMessage({ outcome: decrypt(job), memory }, [memory]);
});
