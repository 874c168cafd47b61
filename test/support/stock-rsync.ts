// Drives a stock `rsync --server` over pipes, as ssh would, with our sender at the other end.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { onTestFinished } from 'vitest';
import type { Entry, Tree } from '../../src/tree/entry.ts';
import { LocalTree } from '../../src/tree/local/local-tree.ts';
import { walk } from '../../src/tree/walk.ts';
import { serverArgs, type TransferOptions } from '../../src/rsync/wire/options.ts';
import { send } from '../../src/rsync/send/sender.ts';
import type { SendJob, SendReport } from '../../src/rsync/send/send-job.ts';

/** A folder that is gone when the test is over. */
export function scratchFolder(parent = tmpdir()): string {
  const path = mkdtempSync(join(parent, 'ecsync-rsync-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Everything preserved, newest protocol, nothing deleted. */
export const ARCHIVE: TransferOptions = {
  protocolMax: 32,
  links: true,
  perms: true,
  times: true,
  owner: true,
  group: true,
  devices: true,
  specials: true,
  hardLinks: false,
  checksum: false,
  dryRun: false,
  numericIds: true,
  ignoreTimes: false,
  deleteAfter: false,
};

/** All entries of a tree in rsync's order. */
export async function listAll<E extends Entry>(tree: Tree<E>): Promise<E[]> {
  const entries: E[] = [];
  for await (const part of walk(tree)) entries.push(...part);
  return entries;
}

export interface StockServer {
  readonly input: Readable;
  readonly output: Writable;
  readonly ended: Promise<{ code: number | null; signal: string | null; stderr: string }>;
  kill(signal?: NodeJS.Signals): void;
}

/** Starts `rsync` with the words of a receiving server. */
export function startStockServer(words: readonly string[], program = 'rsync'): StockServer {
  const child = spawn(program, words, { stdio: ['pipe', 'pipe', 'pipe'] });
  const errors: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
  const ended = once(child, 'close').then(([code, signal]: unknown[]) => ({
    code: code as number | null,
    signal: signal as string | null,
    stderr: Buffer.concat(errors).toString(),
  }));
  return {
    input: child.stdout,
    output: child.stdin,
    ended,
    kill: (signal) => child.kill(signal ?? 'SIGKILL'),
  };
}

/** What a push to a stock server came to. */
export interface PushResult {
  readonly report: SendReport;
  readonly code: number | null;
  readonly stderr: string;
  /** `iflags path` of every item record, in order. */
  readonly items: string[];
  readonly sent: string[];
  readonly deleted: string[];
  readonly problems: string[];
  readonly messages: string[];
}

const text = (path: Uint8Array): string => Buffer.from(path).toString('latin1');

/** Sends a tree to a stock server and waits for both to end. */
export async function pushTree<E extends Entry>(
  tree: Tree<E>,
  destination: string,
  changes: Partial<SendJob<E>> = {},
): Promise<PushResult> {
  const options = changes.options ?? ARCHIVE;
  const entries = changes.entries ?? (await listAll(tree));
  const seen = {
    items: [] as string[],
    sent: [] as string[],
    deleted: [] as string[],
    problems: [] as string[],
    messages: [] as string[],
  };
  const server = startStockServer(serverArgs(options, destination));
  try {
    const report = await send(server, {
      open: (entry) => tree.open(entry),
      onItem: (entry, iflags) => seen.items.push(`${iflags.toString(16)} ${text(entry.path)}`),
      onSent: (entry) => seen.sent.push(text(entry.path)),
      onDeleted: (path, isDirectory) => seen.deleted.push(text(path) + (isDirectory ? '/' : '')),
      onProblem: (entry, error) => seen.problems.push(`${error.code} ${text(entry.path)}`),
      onMessage: (level, message) => seen.messages.push(`${level}: ${message.trim()}`),
      ...changes,
      entries,
      options,
    });
    server.output.end();
    const { code, stderr } = await server.ended;
    return { report, code, stderr, ...seen };
  } catch (error) {
    server.kill();
    const { code, stderr } = await server.ended;
    throw Object.assign(error as Error, { serverCode: code, serverStderr: stderr, seen });
  }
}

/** {@link pushTree} from a folder. */
export async function pushFolder(
  source: string,
  destination: string,
  changes: Parameters<typeof pushTree>[2] = {},
): Promise<PushResult> {
  return pushTree<Entry>(new LocalTree(source), destination, changes);
}

/** What stock rsync would still change: empty when both folders are alike. */
export function differences(source: string, destination: string, options = '-aHc'): string {
  const words = [options, '-ni', '--delete', `${source}/`, `${destination}/`];
  const { stdout, stderr, status } = spawnSync('rsync', words, { encoding: 'latin1' });
  return status === 0 ? stdout : `status ${String(status)}: ${stderr}`;
}
