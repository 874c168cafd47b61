/** A thread that reads and encrypts files for {@link EncryptionPool}: started as a file of its own. */
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
  SLOT_LENGTH,
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
/** The output of one job, before it goes into shared memory in one piece. */
const output = Buffer.allocUnsafeSlow(SLOT_LENGTH);
/** By number, as far as they were seen. */
const slots: Buffer[] = [];
const openFiles = new Map<number, OpenedFile>();

interface OpenedFile {
  readonly file: FileOnDisk;
  readonly identity: FileIdentity;
  /** Of a sparse file. */
  readonly holes: HoleMaker | undefined;
}

const NOT_DONE = [-1, 0];

/** Whatever is wrong with a file is found again, and told, by who asked: nothing of it was sent yet. */
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

function open(number: number, [asked]: readonly FileToEncrypt[]): EncryptionAnswer {
  try {
    const file = asked && FileOnDisk.open(asked.fullPath, asked.listed);
    if (asked === undefined || file === undefined) return { numbers: [-1] };
    const { identity, listed } = asked;
    const isSparse = listed.isSparse === true && content.knowsHoles;
    const holes = isSparse ? new HoleMaker(content, identity, file.size) : undefined;
    openFiles.set(number, { file, identity, holes });
    return { numbers: [file.size] };
  } catch {
    return { numbers: [-1] }; // found again, and told, by who asked
  }
}

function readBlocks(file: FileOnDisk, first: number, length: number): Buffer {
  const room = plainBuffer.subarray(0, length);
  return room.subarray(0, file.read(room, first * PLAIN_BLOCK_SIZE));
}

function lookBefore({ file, holes }: OpenedFile, block: number): void {
  holes?.seek(block);
  for (let span = holes?.missing(); span !== undefined; span = holes?.missing()) {
    holes?.look(readBlocks(file, span.first, span.count * PLAIN_BLOCK_SIZE));
  }
}

function encryptRun(job: RunJob): EncryptionAnswer {
  const opened = openFiles.get(job.file);
  if (opened === undefined) return { numbers: [0] };
  const { file, identity, holes } = opened;
  const { firstBlock, plainLength, lead } = job;
  try {
    lookBefore(opened, firstBlock);
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

/** Puts the output of a job into its slot. */
function put(answered: EncryptionAnswer, { number, memory }: SlotReference): EncryptionAnswer {
  if (memory !== undefined) slots[number] = Buffer.from(memory);
  const slot = slots[number];
  // What a slot still has from before must never pass for an output: this ends the thread.
  if (slot === undefined) throw new BugError('invariant', `no slot ${number}`);
  copyShared(output, slot, answered.outputLength ?? 0);
  return answered;
}

function answer(job: EncryptionJob): EncryptionAnswer {
  switch (job.kind) {
    case 'whole':
      return put(encryptAll(unpackFiles(job.files)), job.slot);
    case 'open':
      return open(job.file, unpackFiles(job.files));
    case 'run':
      return put(encryptRun(job), job.slot);
    case 'close':
      return close(job.file);
  }
}

parentPort?.on('message', (job: EncryptionJob) => parentPort?.postMessage(answer(job)));
