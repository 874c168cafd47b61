import { spawn } from 'node:child_process';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import type { TransferOptions } from '../../src/rsync/wire/options.ts';
import { serve } from '../../src/rsync/receive/server.ts';
import { LocalStore } from '../../src/tree/target/local-store.ts';
import { prepareFolder } from '../../src/tree/target/prepare-folder.ts';
import { groupIds, userIds } from '../../src/tree/local/owner-names.ts';
import { makeSpecialFile } from '../../src/transport/programs/special-files.ts';

export interface StockRun {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. */
export function run(program: string, args: readonly string[]): Promise<StockRun> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString('latin1')));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString('latin1')));
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/** Our server at the other end of stock rsync: a socket that `-e` programs relay to. */
export class ServedRsync {
  readonly #folder = mkdtempSync(join(tmpdir(), 'ecsync-relay-'));
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<ServedRsync> {
    const server = createServer({ allowHalfOpen: true }, (socket) => void runWithHooks(socket));
    const served = new ServedRsync(server);
    await new Promise<void>((resolve) => server.listen(served.#socketPath, resolve));
    return served;
  }

  get #socketPath(): string {
    return join(this.#folder, 'socket');
  }

  /** Stock rsync with our server; the destination is `host:PATH`. */
  push(args: readonly string[]): Promise<StockRun> {
    const relay = `${process.execPath} ${join(import.meta.dirname, 'relay.mjs')} ${this.#socketPath}`;
    return run('rsync', ['-e', relay, ...args]);
  }

  async stop(): Promise<void> {
    await new Promise((resolve) => this.#server.close(resolve));
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

async function runWithHooks(socket: Socket): Promise<void> {
  socket.on('error', () => undefined);
  const first = await firstLine(socket);
  const { words, statusPath } = JSON.parse(first) as { words: string[]; statusPath: string };
  const stderr: string[] = [];
  let code = 99;
  const output = new PassThrough();
  output.pipe(socket);
  try {
    const { options, destination } = stockOptions(words.slice(1));
    const rootIsNew = prepareFolder(destination, options.dryRun);
    const kinds = {
      0o010000: 'pipe',
      0o060000: 'block-device',
      0o020000: 'character-device',
    } as const;
    const store = new LocalStore(destination, {
      durable: false,
      ...(options.tempDir !== undefined && { tempDir: options.tempDir }),
      ...(options.linkDest !== undefined && { earlier: options.linkDest }),
      makeSpecial: (path, entry) => {
        const kind = kinds[(entry.mode & 0o170000) as keyof typeof kinds];
        return makeSpecialFile(path, { kind, ...(entry.rdev ?? { major: 0, minor: 0 }) });
      },
    });
    try {
      code = await serve({ input: socket, output }, store, {
        transfer: options,
        localDefaults: { users: userIds(), groups: groupIds() },
        rootIsNew,
        onStderr: (line) => stderr.push(`${line}\n`),
      });
    } finally {
      store.close();
    }
  } catch (error) {
    stderr.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
    socket.end();
  }
  writeFileSync(`${statusPath}.new`, JSON.stringify({ code, stderr: stderr.join('') }));
  renameSync(`${statusPath}.new`, statusPath);
}

/** The line before the conversation; what follows it stays in the socket. */
async function firstLine(socket: Socket): Promise<string> {
  let text = Buffer.alloc(0);
  for (;;) {
    await new Promise((resolve) => socket.once('readable', resolve));
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) continue;
    text = Buffer.concat([text, chunk]);
    const end = text.indexOf(0x0a);
    if (end === -1) continue;
    socket.unshift(text.subarray(end + 1));
    return text.subarray(0, end).toString();
  }
}

/** The stock client's command line: wider than our own, so that its ways can be tested, too. */
function stockOptions(words: readonly string[]): { options: TransferOptions; destination: string } {
  const letters = (words[1] ?? '').replace(/e\..*$/, '');
  const has = (letter: string): boolean => letters.includes(letter);
  const value = (name: string): string | undefined => {
    const at = words.indexOf(name);
    return at === -1 ? undefined : words[at + 1];
  };
  const block = words.find((word) => /^-B\d+$/.test(word));
  const tempDir = value('--temp-dir');
  const linkDest = value('--link-dest');
  const options: TransferOptions = {
    protocolMax: 32,
    links: has('l'),
    perms: has('p'),
    times: has('t'),
    owner: has('o'),
    group: has('g'),
    devices: has('D'),
    specials: has('D'),
    hardLinks: has('H'),
    checksum: has('c'),
    dryRun: has('n'),
    numericIds: words.includes('--numeric-ids'),
    ignoreTimes: has('I'),
    deleteAfter: words.includes('--delete-after'),
    ...(block !== undefined && { blockSize: Number(block.slice(2)) }),
    ...(tempDir !== undefined && { tempDir }),
    ...(linkDest !== undefined && { linkDest }),
  };
  return { options, destination: words[words.length - 1] ?? '' };
}
