/** This machine, for the installers of jobs. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { FileError } from '../../errors.ts';
import { programFile } from '../../programs.ts';
import { reasonOf } from '../../system-errors.ts';
import type { Machine, ProgramResult } from '../../schedule/machine.ts';
import { sessionEnvironment } from '../../vault/password/session-environment.ts';
import type { Host } from '../frame/host.ts';

const OUTPUT_MAX_BYTES = 16 * 1024 * 1024;

/**
 * This machine, for the installers of jobs.
 *
 * @throws {FileError} `schedule-not-written` — from its writing methods
 */
export function systemMachine({ environment, signal }: Host): Machine {
  const home = os.homedir();
  const config = environment['XDG_CONFIG_HOME'];
  const uid = process.getuid?.() ?? 0;
  const isTold = config !== undefined && path.isAbsolute(config);
  return {
    home,
    configFolder: isTold ? config : path.join(home, '.config'),
    uid,
    run: (program, words, input) =>
      runProgram(program, words, { input, env: sessionEnvironment(environment), signal }),
    programsRunning,
    read: readIfThere,
    write: (file, content) =>
      doFile(file, () => {
        fs.mkdirSync(path.dirname(file), { recursive: true });
        const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`;
        try {
          fs.writeFileSync(temporary, content, { flag: 'wx', mode: 0o644 });
          fs.renameSync(temporary, file);
        } finally {
          fs.rmSync(temporary, { force: true });
        }
      }),
    makeFolder: (folder) => doFile(folder, () => fs.mkdirSync(folder, { recursive: true })),
    remove: (file) =>
      doFile(file, () => {
        const wasThere = fs.lstatSync(file, { throwIfNoEntry: false }) !== undefined;
        fs.rmSync(file, { force: true });
        return wasThere;
      }),
    async withTemporary(content, work) {
      const prefix = path.join(os.tmpdir(), 'ecsync-schedule-');
      const folder = doFile(prefix, () => fs.mkdtempSync(prefix));
      try {
        const file = path.join(folder, 'task.xml');
        doFile(file, () => fs.writeFileSync(file, content));
        return await work(file);
      } finally {
        fs.rmSync(folder, { recursive: true, force: true });
      }
    },
  };
}

/**
 * Only Linux shows processes as files. If processes of others are hidden, process 1 is hidden too.
 */
function programsRunning(): readonly string[] | undefined {
  if (process.platform !== 'linux' || nameOfProcess('1') === undefined) return undefined;
  const numbers = fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return numbers.flatMap((number) => nameOfProcess(number) ?? []);
}

/** Undefined if the process has just ended. */
function nameOfProcess(number: string): string | undefined {
  return readIfThere(`/proc/${number}/comm`)?.toString('latin1').trim();
}

function readIfThere(file: string): Buffer | undefined {
  try {
    return fs.readFileSync(file);
  } catch {
    return undefined;
  }
}

function doFile<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new FileError('schedule-not-written', `cannot change ${file}: ${reasonOf(error)}`, {
      hint: 'Check its permissions and the space on this disk.',
      cause: error,
    });
  }
}

function runProgram(
  program: string,
  words: readonly string[],
  options: {
    readonly input: string | undefined;
    readonly env: NodeJS.ProcessEnv;
    readonly signal: AbortSignal;
  },
): Promise<ProgramResult> {
  const { input, env, signal } = options;
  return new Promise((resolve, reject) => {
    const child = execFile(
      programFile(program),
      [...words],
      { env, signal, encoding: 'buffer', maxBuffer: OUTPUT_MAX_BYTES, windowsHide: true },
      (error, stdout, stderr) => {
        if (signal.aborted) {
          reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
          return;
        }
        resolve({
          status: statusOf(error),
          stdout: stdout.toString('latin1'),
          stderr: stderr.toString(),
        });
      },
    );
    child.stdin?.on('error', () => undefined); // it may end without reading
    child.stdin?.end(input === undefined ? '' : Buffer.from(input, 'latin1'));
  });
}

function statusOf(error: unknown): number | undefined {
  if (error === null || error === undefined) return 0;
  if (error instanceof Error && 'code' in error) {
    if (typeof error.code === 'number') return error.code;
    if (error.code === 'ENOENT') return undefined;
  }
  return -1;
}
