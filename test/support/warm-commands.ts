/** Commands whose outcome alone counts: they run in a warm program instead of a process of their own. */
import { fork, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { inject } from 'vitest';
import type { WarmRequest } from './warm-request.ts';
import { untilSettled } from './settled.ts';

export interface WarmResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

/** What a program reads when it starts, or what is read once for all: it needs a process of its own. */
const READ_AT_START = /^(?:LD_|NODE_|MALLOC_|UV_|TZ$|ECSYNC_CONSTANT_TIME$)/;

export function canRunWarm(environment: Readonly<Record<string, string>> = {}): boolean {
  return !Object.keys(environment).some((name) => READ_AT_START.test(name));
}

/** A warm program with its standard output and error, which go into files. */
class WarmProgram {
  readonly #child: ChildProcess;
  readonly #stdout = openUnnamed();
  readonly #stderr = openUnnamed();

  constructor() {
    this.#child = fork(path.join(path.dirname(inject('cliPath')), 'warm-program.js'), [], {
      cwd: '/',
      execArgv: [],
      env: {},
      stdio: ['ignore', this.#stdout, this.#stderr, 'ipc'],
    });
  }

  /** @returns the outcome, and whether the program is there for another command */
  run(request: WarmRequest): Promise<WarmResult & { readonly isThere: boolean }> {
    const child = this.#child;
    child.ref();
    child.channel?.ref();
    return new Promise((resolve, reject) => {
      const end = (code: number | null, signal: NodeJS.Signals | null, isThere: boolean): void => {
        child.removeAllListeners();
        child.on('error', () => undefined);
        child.unref();
        child.channel?.unref();
        const stdout = taken(this.#stdout);
        const stderr = taken(this.#stderr);
        if (!isThere) for (const fd of [this.#stdout, this.#stderr]) fs.closeSync(fd);
        resolve({ code, signal, stdout, stderr, isThere });
      };
      child.on('error', reject);
      child.on('exit', (code, signal) => end(code, signal, false));
      child.on('message', (code: number) => end(code, null, true));
      child.send(request);
    });
  }
}

/** A file that only its descriptor leads to. */
function openUnnamed(): number {
  const folder = fs.mkdtempSync(path.join(tmpdir(), 'ecsync-output-'));
  const fd = fs.openSync(path.join(folder, 'output'), 'a+');
  fs.rmSync(folder, { recursive: true });
  return fd;
}

/** What was written into a file, which is then empty. */
function taken(fd: number): Buffer {
  const bytes = Buffer.alloc(fs.fstatSync(fd).size);
  let length = 0;
  while (length < bytes.length) {
    const count = fs.readSync(fd, bytes, length, bytes.length - length, length);
    if (count === 0) break;
    length += count;
  }
  fs.ftruncateSync(fd, 0);
  return bytes.subarray(0, length);
}

const idle: WarmProgram[] = [];

/** Commands at the same time run in programs of their own. */
export async function runWarm(request: WarmRequest): Promise<WarmResult> {
  if (request.words.includes('push')) await untilSettled();
  const program = idle.pop() ?? new WarmProgram();
  const { isThere, ...result } = await program.run(request);
  if (isThere) idle.push(program);
  return result;
}
