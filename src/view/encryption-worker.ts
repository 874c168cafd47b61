/** A thread that reads and encrypts files for {@link EncryptionPool}: started as a file of its own. */
import { parentPort, workerData } from 'node:worker_threads';
import { openContent } from '../gocryptfs/layout.ts';
import type { FileIdentity } from '../gocryptfs/identity.ts';
import { PLAIN_BLOCK_SIZE } from '../gocryptfs/limits.ts';
import { errnoOf } from '../tree/file-failure.ts';
import { FileOnDisk } from '../tree/local-file.ts';
import { RUN_BLOCKS } from './cipher-runs.ts';
import {
  unpackFiles,
  type EncryptionAnswer,
  type EncryptionJob,
  type FileToEncrypt,
  type WorkerKeys,
} from './encryption-jobs.ts';
import { encryptWhole } from './whole-file.ts';

const keys = workerData as WorkerKeys;
const content = openContent({ ...keys, flags: new Set(keys.flags) });
const plainBuffer = Buffer.allocUnsafeSlow(RUN_BLOCKS * PLAIN_BLOCK_SIZE);
const openFiles = new Map<number, { readonly file: FileOnDisk; readonly identity: FileIdentity }>();

const NOT_DONE = [-1, 0];

/** Whatever is wrong with a file is found again, and told, by who asked: nothing of it was sent yet. */
function encryptWholeOrNot(file: FileToEncrypt, slot: Buffer, at: number): readonly number[] {
  try {
    const length = encryptWhole(file, content, { plain: plainBuffer, out: slot.subarray(at) });
    return length === undefined ? NOT_DONE : [at, length];
  } catch {
    return NOT_DONE;
  }
}

function encryptAll(files: readonly FileToEncrypt[], slot: Buffer): EncryptionAnswer {
  const numbers: number[] = [];
  let at = 0;
  for (const file of files) {
    const result = encryptWholeOrNot(file, slot, at);
    at += result[1] ?? 0;
    numbers.push(...result);
  }
  return { numbers };
}

function open(number: number, [asked]: readonly FileToEncrypt[]): EncryptionAnswer {
  try {
    const file = asked && FileOnDisk.open(asked.fullPath, asked.listed);
    if (asked === undefined || file === undefined) return { numbers: [-1] };
    openFiles.set(number, { file, identity: asked.identity });
    return { numbers: [file.size] };
  } catch {
    return { numbers: [-1] }; // found again, and told, by who asked
  }
}

function encryptRun(job: Extract<EncryptionJob, { kind: 'run' }>): EncryptionAnswer {
  const opened = openFiles.get(job.file);
  if (opened === undefined) return { numbers: [0] };
  const { file, identity } = opened;
  const { firstBlock, plainLength, lead } = job;
  try {
    const room = plainBuffer.subarray(0, plainLength);
    const plain = room.subarray(0, file.read(room, firstBlock * PLAIN_BLOCK_SIZE));
    const out = Buffer.from(job.slot, lead);
    content.encryptBlocks({ firstBlock, identity, plain }, out);
    return { numbers: [plain.length] };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { numbers: [0], failure: { errno: errnoOf(error), message } };
  }
}

function close(number: number): EncryptionAnswer {
  const opened = openFiles.get(number);
  openFiles.delete(number);
  return { numbers: [opened?.file.close() === 'changed' ? 1 : 0] };
}

function answer(job: EncryptionJob): EncryptionAnswer {
  switch (job.kind) {
    case 'whole':
      return { ...encryptAll(unpackFiles(job.files), Buffer.from(job.slot)), slot: job.slot };
    case 'open':
      return open(job.file, unpackFiles(job.files));
    case 'run':
      return { ...encryptRun(job), slot: job.slot };
    case 'close':
      return close(job.file);
  }
}

parentPort?.on('message', (job: EncryptionJob) => {
  const answered = answer(job);
  parentPort?.postMessage(answered, answered.slot === undefined ? [] : [answered.slot]);
});
