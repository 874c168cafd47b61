/** A thread that decrypts and writes runs for {@link DecryptionPool}: started as a file of its own. */
import { parentPort, workerData } from 'node:worker_threads';
import { openContent } from '../gocryptfs/layout.ts';
import { PLAIN_BLOCK_SIZE } from '../gocryptfs/limits.ts';
import { errnoOf } from '../tree/file-failure.ts';
import { writeAt } from '../tree/write-at.ts';
import type { DecryptionJob, DecryptionKeys, DecryptionOutcome } from './decryption-jobs.ts';
import { decryptRun, DECRYPTED_BLOCKS } from './decryption-run.ts';

const { flags, cipher } = workerData as DecryptionKeys;
// Without nonces: nothing is encrypted here.
const content = openContent({ flags: new Set(flags), cipher, nonces: undefined });
const plain = Buffer.allocUnsafeSlow(DECRYPTED_BLOCKS * PLAIN_BLOCK_SIZE);

function decrypt({ memory, fd, ...job }: DecryptionJob): DecryptionOutcome {
  const outcome = decryptRun(content, { ...job, buffer: Buffer.from(memory) }, plain);
  if (typeof outcome !== 'number') {
    const { blockNo, error } = outcome;
    const { code, message, hint } = error;
    return { kind: 'damaged', blockNo, code, message, ...(hint !== undefined && { hint }) };
  }
  try {
    writeAt(fd, plain.subarray(0, outcome), job.firstBlock * PLAIN_BLOCK_SIZE);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { kind: 'failed', errno: errnoOf(error), message };
  }
  return { kind: 'written', length: outcome };
}

parentPort?.on('message', (job: DecryptionJob) => {
  const { memory } = job;
  parentPort?.postMessage({ outcome: decrypt(job), memory }, [memory]);
});
