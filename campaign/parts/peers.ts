// Conversations with lying servers: real ones whose output is changed, and scripted ones that never
// end.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { BugError, EcsyncError } from '../../src/errors.ts';
import { senderArgs, serverArgs, type TransferOptions } from '../../src/rsync/wire/options.ts';
import { pull } from '../../src/rsync/receive/pull.ts';
import { send } from '../../src/rsync/send/sender.ts';
import type { Connection } from '../../src/transport/connection.ts';
import { logInToDaemon } from '../../src/transport/daemon/login.ts';
import { SftpSession } from '../../src/transport/sftp/sftp.ts';
import { LocalStore } from '../../src/tree/target/local-store.ts';
import { LocalTree } from '../../src/tree/local/local-tree.ts';
import { FakePeer, frame, greeting } from '../../test/support/fake-peer.ts';
import { allEntries } from '../../test/support/materialise.ts';
import { Random } from '../../test/support/random-tree.ts';
import { namesBelow } from '../inside.ts';
import { brief } from '../judge.ts';
import {
  type Lab,
  type OpenPart,
  type Outcome,
  type Part,
  type PointId,
  pointSeed,
} from '../part.ts';
import { makeSource } from '../source-tree.ts';
import { startTampered, type Tampering, tamperingsOf } from '../tampered.ts';

const EXECUTIONS = 25;
/** A silent conversation is abandoned after this time. */
const IDLE_MS = 400;
const LIMIT_MS = 15_000;
const MEMORY_MAX = 300 * 1024 * 1024;
const SFTP_SERVER = '/usr/lib/openssh/sftp-server';

const OPTIONS: TransferOptions = {
  protocolMax: 32,
  links: true,
  perms: true,
  times: true,
  owner: false,
  group: false,
  devices: false,
  specials: false,
  hardLinks: true,
  checksum: false,
  dryRun: false,
  numericIds: true,
  ignoreTimes: false,
  deleteAfter: false,
};

/** One conversation, with a function that holds it. */
type Talk = (tamperings: (length: number) => Tampering[], random: Random) => Promise<void>;

class Peers implements OpenPart {
  readonly #dir: string;
  readonly #source: string;
  readonly #talks: readonly (readonly [string, Talk])[];
  /** Bytes that a server sends in a whole conversation. */
  readonly #lengths = new Map<string, number>();

  constructor(lab: Lab) {
    this.#dir = lab.dir;
    this.#source = path.join(lab.dir, 'source');
    makeSource(this.#source, new Random(5));
    this.#talks = [
      ['a push to rsync', (tamper, random) => this.#push(tamper, random)],
      ['a pull from rsync', (tamper, random) => this.#pull(tamper, random)],
      ['a listing over SFTP', (tamper) => this.#sftp(tamper)],
      ['keep-alives for ever', () => this.#keepAlives()],
      ['an SFTP folder without an end', () => this.#endlessFolder()],
      ['a daemon that talks for ever', () => this.#endlessDaemon()],
    ];
  }

  async run(id: PointId): Promise<Outcome> {
    const [name, talk] = this.#talks[(id.point - 1) % this.#talks.length] ?? [];
    if (name === undefined || talk === undefined) throw new Error('there is nobody to talk to');
    const random = new Random(pointSeed(id));
    const findings: string[] = [];
    const executions = this.#talks.findIndex(([one]) => one === name) < 3 ? EXECUTIONS : 1;
    let refused = 0;
    let peak = 0;
    const before = process.memoryUsage().rss;
    const watch = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage().rss - before);
    }, 20);
    for (let i = 0; i < executions && findings.length < 3; i++) {
      let told: Tampering[] = [];
      const tamper = (length: number): Tampering[] => (told = tamperingsOf(random, length));
      const problem = await problemOf(() => talk(tamper, random));
      if (problem === 'refused') refused++;
      else if (problem !== undefined) findings.push(`${problem}; ${shown(told)}`);
    }
    clearInterval(watch);
    findings.push(...this.#outside());
    if (peak > MEMORY_MAX) findings.push(`memory: ${Math.round(peak / 1e6)} MB more`);
    return { what: name, findings, figures: { conversations: executions, refused } };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Nothing appears beside the folders that may be written. */
  #outside(): string[] {
    const others = namesBelow(this.#dir).filter((name) => !/^(source|target)(\/|$)/.test(name));
    return others.length === 0 ? [] : [`outside: ${others.slice(0, 5).join(' ')}`];
  }

  #fresh(): string {
    const target = path.join(this.#dir, 'target');
    rmSync(target, { recursive: true, force: true });
    mkdirSync(target);
    return target;
  }

  async #lengthOf(name: string, whole: () => Promise<number>): Promise<number> {
    const known = this.#lengths.get(name) ?? (await whole());
    this.#lengths.set(name, known);
    return known;
  }

  async #push(tamper: (length: number) => Tampering[], random: Random): Promise<void> {
    const protocolMax = random.pick([29, 30, 31, 32]);
    const options = { ...OPTIONS, protocolMax };
    const tree = new LocalTree(this.#source);
    const entries = await allEntries(tree);
    const hold = async (tamperings: readonly Tampering[]): Promise<number> => {
      const target = this.#fresh();
      // Slightly different versions of some files exist already, so that block sums are sent too.
      for (const name of ['large', 'shelf/part.1']) {
        const bytes = readFileSync(path.join(this.#source, name));
        mkdirSync(path.dirname(path.join(target, name)), { recursive: true });
        writeFileSync(path.join(target, name), bytes.fill(1, 0, 100));
      }
      const server = startTampered('rsync', serverArgs(options, target), tamperings);
      try {
        await send(server, {
          entries,
          open: (entry) => tree.open(entry),
          options,
          idleTimeoutMs: IDLE_MS,
        });
        return server.said();
      } finally {
        server.destroy();
      }
    };
    await hold(tamper(await this.#lengthOf(`push ${protocolMax}`, () => hold([]))));
  }

  async #pull(tamper: (length: number) => Tampering[], random: Random): Promise<void> {
    const protocolMax = random.pick([29, 30, 31, 32]);
    const options = { ...OPTIONS, protocolMax };
    const paths = [`${this.#source}/`];
    const hold = async (tamperings: readonly Tampering[]): Promise<number> => {
      const store = new LocalStore(this.#fresh(), { durable: false });
      const server = startTampered('rsync', senderArgs(options, paths), tamperings);
      try {
        await pull(server, { options, paths, store, idleTimeoutMs: IDLE_MS });
        return server.said();
      } finally {
        server.destroy();
        store.close();
      }
    };
    await hold(tamper(await this.#lengthOf(`pull ${protocolMax}`, () => hold([]))));
  }

  async #sftp(tamper: (length: number) => Tampering[]): Promise<void> {
    const hold = async (tamperings: readonly Tampering[]): Promise<number> => {
      const server = startTampered(SFTP_SERVER, [], tamperings);
      const signal = new AbortController().signal;
      try {
        const shownName = 'a server';
        const session = await SftpSession.open(server, {
          shownName,
          idleTimeoutMs: IDLE_MS,
          signal,
        });
        const root = Buffer.from(this.#source);
        for (const { name } of await session.list(root)) {
          const at = Buffer.concat([root, Buffer.from('/'), name]);
          const { mode } = await session.lstat(at);
          if (((mode ?? 0) & 0o170000) === 0o040000) await session.list(at);
        }
        const handle = await session.openFile(Buffer.from(path.join(this.#source, 'large')));
        await session.read(handle, { offset: 0, length: 20_000 }, Buffer.from('large'));
        session.destroy();
        return server.said();
      } finally {
        server.destroy();
      }
    };
    await hold(tamper(await this.#lengthOf('sftp', () => hold([]))));
  }

  /** Empty frames, often enough that the line is never idle. */
  async #keepAlives(): Promise<void> {
    const tree = new LocalTree(this.#source);
    const peer = new FakePeer();
    peer.say(greeting());
    const timer = setInterval(() => peer.say(frame(0, Buffer.alloc(0))), IDLE_MS / 8);
    try {
      await send(peer, {
        entries: await allEntries(tree),
        open: (entry) => tree.open(entry),
        options: OPTIONS,
        idleTimeoutMs: IDLE_MS,
      });
    } finally {
      clearInterval(timer);
    }
  }

  /** Each reply to READDIR holds no name, and is not the last. */
  async #endlessFolder(): Promise<void> {
    const peer = new FakePeer();
    const packet = (type: number, id: number, ...more: Buffer[]): Buffer => {
      const body = Buffer.concat([Buffer.from([type]), u32(id), ...more]);
      return Buffer.concat([u32(body.length), body]);
    };
    peer.say(packet(2, 3));
    let answered = 0;
    const timer = setInterval(() => {
      for (const request of peer.heard.slice(answered)) {
        answered++;
        const [type, id] = [request[4] ?? 0, request.length >= 9 ? request.readUInt32BE(5) : 0];
        if (type === 11) peer.say(packet(102, id, u32(1), Buffer.from('h')));
        else if (type === 12) peer.say(packet(104, id, u32(0)));
      }
    }, 1);
    const connection = connectionOf(peer);
    const signal = new AbortController().signal;
    try {
      const options = { shownName: 'a server', idleTimeoutMs: IDLE_MS, signal };
      const session = await SftpSession.open(connection, options);
      await session.list(Buffer.from('/folder'));
    } finally {
      clearInterval(timer);
    }
  }

  async #endlessDaemon(): Promise<void> {
    const input = new PassThrough();
    const output = new PassThrough();
    output.resume();
    input.write('@RSYNCD: 31.0\n');
    const timer = setInterval(() => input.write('Welcome to a long message of the day\n'), 1);
    const connection = connectionOf({ input, output });
    try {
      await logInToDaemon(connection, {
        shownName: 'a daemon',
        timeoutMs: IDLE_MS,
        protocolMax: 32,
        module: 'm',
      } as Parameters<typeof logInToDaemon>[1]);
    } finally {
      clearInterval(timer);
    }
  }
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A connection to a command that never ends by itself. */
function connectionOf({ input, output }: Pick<Connection, 'input' | 'output'>): Connection {
  const exited = new Promise<never>(() => undefined);
  return { input, output, stderrText: () => '', exited, destroy: () => undefined };
}

function shown(tamperings: readonly Tampering[]): string {
  return tamperings
    .map(({ kind, atByte, bytes }) => `${kind} at ${atByte} ${bytes.toString('hex')}`)
    .join(', ');
}

/** How a conversation failed. A typed error and success are both correct. */
async function problemOf(talk: () => Promise<void>): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<'hang'>((resolve) => {
    timer = setTimeout(() => resolve('hang'), LIMIT_MS);
  });
  try {
    return (await Promise.race([limit, talk()])) === 'hang' ? 'hang: no end' : undefined;
  } catch (error) {
    if (error instanceof EcsyncError && !(error instanceof BugError)) return 'refused';
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return `untyped-error: ${brief(text, 800)}`;
  } finally {
    clearTimeout(timer);
  }
}

export const peers: Part = {
  name: 'peers',
  checks:
    'each conversation ends within 15 s, with success or a typed error, uses less than 300 MB of memory, and writes nothing outside of its target',
  pointMs: 400_000,
  open: (lab) => Promise.resolve(new Peers(lab)),
};
