/**
 * A thread that reads and encrypts files for {@link EncryptionPool}; Node starts this file as the
 * worker.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { BugError } from '../../errors.ts';
import { errnoOf } from '../../platform.ts';
import { openContent } from '../../gocryptfs/layout.ts';
import type { FileIdentity } from '../../gocryptfs/content/identity.ts';
import { PLAIN_BLOCK_SIZE } from '../../gocryptfs/format/limits.ts';
import { FileOnDisk } from '../../tree/local/local-file.ts';
import { RUN_BLOCKS } from './cipher-runs.ts';
import {
  copyShared,
  RUN_SLOT_LENGTH,
  unpackFiles,
  type EncryptionAnswer,
  type EncryptionJob,
  type FileToEncrypt,
  type RunJob,
  type SlotReference,
  type WorkerKeys,
} from './encryption-jobs.ts';
import { HoleMaker } from './hole-maker.ts';
import { encryptWhole } from './whole-file.ts';

const keys = workerData as WorkerKeys;
const content = openContent({ ...keys, flags: new Set(keys.flags) });
const plainBuffer = Buffer.allocUnsafeSlow(RUN_BLOCKS * PLAIN_BLOCK_SIZE);
/** The output of one job, before it is copied into shared memory in one piece. */
const output = Buffer.allocUnsafeSlow(RUN_SLOT_LENGTH);
/** By number. */
const slots: Buffer[] = [];
const openFiles = new Map<number, OpenedFile>();

interface OpenedFile {
  readonly file: FileOnDisk;
  readonly identity: FileIdentity;
  /** For a sparse file. */
  readonly holes: HoleMaker | undefined;
}

const NOT_DONE = [-1, 0];

/**
 * Returns NOT_DONE on any error: the requester opens the file itself then, and reports the error.
 */
function encryptWholeOrNot(file: FileToEncrypt, at: number): readonly number[] {
  try {
    const length = encryptWhole(file, content, { plain: plainBuffer, out: output.subarray(at) });
    return length === undefined ? NOT_DONE : [at, length];
  } catch {
    return NOT_DONE;
  }
}

function encryptAll(files: readonly FileToEncrypt[]): EncryptionAnswer {
  const numbers: number[] = [];
  let at = 0;
  for (const file of files) {
    const result = encryptWholeOrNot(file, at);
    at += result[1] ?? 0;
    numbers.push(...result);
  }
  return { numbers, outputLength: at };
}

function open(number: number, [requested]: readonly FileToEncrypt[]): EncryptionAnswer {
  try {
    const file = requested && FileOnDisk.open(requested.fullPath, requested.listed);
    if (requested === undefined || file === undefined) return { numbers: [-1] };
    const { identity, listed } = requested;
    const isSparse = listed.isSparse === true && content.knowsHoles;
    const holes = isSparse ? new HoleMaker(content, identity, file.size) : undefined;
    openFiles.set(number, { file, identity, holes });
    return { numbers: [file.size] };
  } catch {
    return { numbers: [-1] }; // the requester opens the file and reports the error
  }
}

function readBlocks(file: FileOnDisk, first: number, length: number): Buffer {
  const room = plainBuffer.subarray(0, length);
  return room.subarray(0, file.read(room, first * PLAIN_BLOCK_SIZE));
}

function searchHole({ file, holes }: OpenedFile, block: number): void {
  holes?.seek(block);
  for (let span = holes?.missing(); span !== undefined; span = holes?.missing()) {
    holes?.examine(readBlocks(file, span.first, span.count * PLAIN_BLOCK_SIZE));
  }
}

function encryptRun(job: RunJob): EncryptionAnswer {
  const opened = openFiles.get(job.file);
  if (opened === undefined) return { numbers: [0] };
  const { file, identity, holes } = opened;
  const { firstBlock, plainLength, lead } = job;
  try {
    searchHole(opened, firstBlock);
    const plain = readBlocks(file, firstBlock, plainLength);
    const room = output.subarray(lead);
    const length =
      holes === undefined
        ? content.encryptBlocks({ firstBlock, identity, plain }, room)
        : holes.encrypt({ plain, isCut: plain.length < plainLength }, room);
    return { numbers: [plain.length], outputLength: lead + length };
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

/** Copies the output of a job into its slot. */
function storeOutput(
  answered: EncryptionAnswer,
  { number, memory }: SlotReference,
): EncryptionAnswer {
  if (memory !== undefined) slots[number] = Buffer.from(memory);
  const slot = slots[number];
  // Stale content of a slot must never pass for output: this error ends the thread.
  if (slot === undefined) throw new BugError('invariant', `no slot ${number}`);
  copyShared(output, slot, answered.outputLength ?? 0);
  return answered;
}

function answer(job: EncryptionJob): EncryptionAnswer {
  switch (job.kind) {
    case 'whole':
      return storeOutput(encryptAll(unpackFiles(job.files)), job.slot);
    case 'open':
      return open(job.file, unpackFiles(job.files));
    case 'run':
      return storeOutput(encryptRun(job), job.slot);
    case 'close':
      return close(job.file);
  }
}

parentPort?.on('message', (job: EncryptionJob) => parentPort?.postMessage(answer(job)));
