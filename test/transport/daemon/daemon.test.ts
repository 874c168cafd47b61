import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { EcsyncError } from '../../../src/errors.ts';
import { LISTING, senderArgs, serverArgs } from '../../../src/rsync/wire/options.ts';
import { readFiles } from '../../../src/rsync/receive/read-files.ts';
import { send } from '../../../src/rsync/send/sender.ts';
import { LocalTree } from '../../../src/tree/local/local-tree.ts';
import { connectDaemon, type DaemonOptions } from '../../../src/transport/daemon/daemon.ts';
import { answerChallenge, chooseDigest } from '../../../src/transport/daemon/auth.ts';
import { DaemonLines } from '../../../src/transport/daemon/lines.ts';
import { sendArgs } from '../../../src/transport/daemon/login.ts';
import type { Connection } from '../../../src/transport/connection.ts';
import { startDaemon, WITH_LOGIN, type RunningDaemon } from '../../support/rsync-daemon.ts';
import { freePort } from '../../support/sshd.ts';
import { listAll } from '../../support/stock-rsync.ts';

const GREETING = '@RSYNCD: 32.0 sha512 sha256 sha1 md5 md4\n';
const SECRET = 'correct horse';

/** A scripted daemon: `talk` handles each connection. */
const servers: { server: Server; sockets: Set<Socket> }[] = [];
async function serve(talk: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    talk(socket);
  });
  servers.push({ server, sockets });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
afterEach(async () => {
  for (const { server, sockets } of servers.splice(0)) {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
});

const OPTIONS: DaemonOptions = {
  protocolMax: 32,
  connectTimeoutMs: 10_000,
  password: () => Promise.resolve(Buffer.from(SECRET)),
};

async function failure(port: number, options: Partial<DaemonOptions> = {}): Promise<EcsyncError> {
  try {
    const target = { host: '127.0.0.1', port, user: 'joe', module: 'm' };
    const remote = await connectDaemon(target, { ...OPTIONS, ...options });
    await remote.close();
  } catch (error) {
    if (error instanceof EcsyncError) return error;
    throw error;
  }
  throw new Error('the login succeeded');
}

describe('lines', () => {
  const text = '@RSYNCD: 32.0 md5\nWelcome\r\n\n@RSYNCD: OK\n';
  const binary = Buffer.from([0, 10, 255, 10, 64]);
  const whole = Buffer.concat([Buffer.from(text), binary]);

  async function readAll(chunks: readonly Buffer[]): Promise<[string[], Buffer]> {
    const input = new PassThrough();
    const lines = new DaemonLines(input, 'server');
    const found: string[] = [];
    const feeding = (async () => {
      for (const chunk of chunks) {
        input.write(chunk);
        await sleep(0);
      }
      input.end();
    })();
    while (found.at(-1) !== '@RSYNCD: OK') found.push((await lines.next()) ?? 'closed');
    lines.release();
    const rest: Buffer[] = [];
    for await (const chunk of input) rest.push(chunk as Buffer);
    await feeding;
    return [found, Buffer.concat(rest)];
  }
  const expected = [['@RSYNCD: 32.0 md5', 'Welcome', '', '@RSYNCD: OK'], binary];

  test('whole, and byte by byte', async () => {
    expect(await readAll([whole])).toEqual(expected);
    expect(await readAll([...whole].map((byte) => Buffer.from([byte])))).toEqual(expected);
  });

  test('in any chunks; no byte after them is lost', async () => {
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: whole.length - 1 }));
    await fc.assert(
      fc.asyncProperty(cuts, async (at) => {
        const ends = [...at].sort((a, b) => a - b);
        const chunks = [0, ...ends].map((start, i) => whole.subarray(start, ends[i]));
        expect(await readAll(chunks)).toEqual(expected);
      }),
      { numRuns: 40 },
    );
  });
});

describe('the answer to a challenge', () => {
  test('equals the digest of openssl over password and challenge, without padding', () => {
    // printf 'open sesameabc/+123' | openssl dgst -sha512 -binary | base64
    const answers = [
      [
        'sha512',
        'aKAUsfH1YFLCIHFFvbaUwdy6p9HryEwuc1+zqqXerEwt+fU/zL9Rvl3Nu+j+2etEou0WjJDUM4wM5lxT9G8TSg',
      ],
      ['sha256', 'hZDupnNZ74Us/BXPQ71hfJYnR9Xbf4BgL+3dWgRBTWM'],
      ['sha1', 'qZccsZng8aDf0rN8RubRyhF63tU'],
      ['md5', 'o7yvXGpPAFpS0+6ZJOgZjA'],
    ] as const;
    for (const [digest, answer] of answers) {
      expect(answerChallenge(digest, Buffer.from('open sesame'), 'abc/+123')).toBe(answer);
    }
    expect(answerChallenge('md5', Buffer.from('a'), 'bc')).toBe('kAFQmDzST7DWlj99KOF/cg'); // RFC 1321
  });

  test('uses the strongest digest that both support', () => {
    expect(chooseDigest(['md4', 'md5', 'sha1', 'sha512'], 32, 'x')).toBe('sha512');
    expect(chooseDigest(['md5', 'sha1'], 29, 'x')).toBe('sha1');
    expect(chooseDigest(undefined, 31, 'x')).toBe('md5');
    for (const [offered, protocol] of [[undefined, 29] as const, [['md4'], 32] as const]) {
      expect(() => chooseDigest(offered, protocol, 'x')).toThrow(
        expect.objectContaining({ code: 'daemon-auth-too-old', exitCode: 13 }),
      );
    }
  });
});

test('arguments with a NUL or a line break are not sent', () => {
  const output = new PassThrough();
  const connection = { output } as unknown as Connection;
  for (const words of [['a\nb'], ['a\0b'], ['a', '', 'b']]) {
    expect(() => sendArgs(connection, words, 30)).toThrow(
      expect.objectContaining({ code: 'word-invalid' }),
    );
  }
  sendArgs(connection, ['--server', '.', 'm/a b/'], 29);
  sendArgs(connection, ['--server', '.', 'm/a b/'], 30);
  expect(String(output.read())).toBe('--server\n.\nm/a b/\n\n--server\0.\0m/a b/\0\0');
});

describe('a peer that is not a daemon, or a hostile one', () => {
  const early: readonly (readonly [string, string, string])[] = [
    ['an HTTP server', 'HTTP/1.1 400 Bad Request\r\n\r\n', 'not-a-daemon'],
    ['an ssh server', 'SSH-2.0-OpenSSH_9.2p1\r\n', 'not-a-daemon'],
    ['a TLS server', '\x15\x03\x01\x00\x02\x02\x46', 'not-a-daemon'],
    ['one that sends nothing', '', 'not-a-daemon'],
    ['half a greeting', '@RSYNCD: 32', 'not-a-daemon'],
    ['a greeting without a number', '@RSYNCD: x\n', 'not-a-daemon'],
    ['version 19', '@RSYNCD: 19.0\n', 'not-a-daemon'],
    ['version 26', '@RSYNCD: 26.0\n', 'rsync-too-old'],
    ['version 999', '@RSYNCD: 999.0 md5\n', 'not-a-daemon'],
    ['an error at once', '@ERROR: max connections (3) reached\n', 'daemon-busy'],
    ['an error of another kind', `${GREETING}@ERROR: \x1b[2Jgo away\n`, 'daemon-refused'],
    ['an error without a colon', `${GREETING}@ERROR auth failed\n`, 'login-refused'],
    ['an early exit', `${GREETING}@RSYNCD: EXIT\n`, 'daemon-refused'],
    ['an early end', `${GREETING}Welcome\n`, 'connection-lost'],
    ['an end in a line', `${GREETING}Welcome\n@RSYNCD: O`, 'connection-lost'],
    ['an empty challenge', `${GREETING}@RSYNCD: AUTHREQD \n`, 'challenge-invalid'],
    ['a challenge with blanks', `${GREETING}@RSYNCD: AUTHREQD a b\n`, 'challenge-invalid'],
    ['a huge challenge', `${GREETING}@RSYNCD: AUTHREQD ${'x'.repeat(5000)}\n`, 'challenge-invalid'],
    [
      'two challenges',
      `${GREETING}@RSYNCD: AUTHREQD abc\n@RSYNCD: AUTHREQD abc\n`,
      'challenge-repeated',
    ],
    ['a long line', `${GREETING}${'x'.repeat(9000)}`, 'daemon-text-too-long'],
    ['a long line with its end', `${GREETING}${'x'.repeat(9000)}\n`, 'daemon-text-too-long'],
  ];

  test.each(early)('%s', async (_name, said, code) => {
    const port = await serve((socket) => socket.end(said, 'latin1'));
    const error = await failure(port);
    expect(error.code).toBe(code);
    expect(error.message).not.toContain(SECRET);
    expect(error.hint ?? '').not.toContain(SECRET);
  });

  test('an endless message of the day', async () => {
    const port = await serve((socket) => {
      socket.write(GREETING);
      const more = (): void => {
        while (socket.writable && socket.write('ha '.repeat(100) + '\n'));
        if (socket.writable) socket.once('drain', more);
      };
      more();
    });
    expect((await failure(port)).code).toBe('daemon-text-too-long');
  });

  test('silence, before and after the greeting', async () => {
    for (const said of ['', GREETING, `${GREETING}Welcome\n`]) {
      const port = await serve((socket) => socket.write(said));
      const error = await failure(port, { connectTimeoutMs: 200 });
      expect(error).toMatchObject({ code: 'connect-timeout', exitCode: 30 });
    }
  });

  test('one that sends a byte from time to time', async () => {
    const port = await serve((socket) => {
      socket.write(GREETING);
      const timer = setInterval(() => socket.write('x'), 20);
      socket.on('close', () => clearInterval(timer));
    });
    const error = await failure(port, { connectTimeoutMs: 300 });
    expect(error.code).toBe('connect-timeout');
  });

  test('one that breaks the connection', async () => {
    const port = await serve((socket) => socket.once('data', () => socket.resetAndDestroy()));
    expect(await failure(port)).toMatchObject({ code: 'connection-lost', exitCode: 30 });
  });

  test('a port on which nothing listens', async () => {
    const error = await failure(await freePort());
    expect(error).toMatchObject({ code: 'connect-failed', exitCode: 30 });
    expect(error.message).toMatch(/cannot be reached: nothing listens there$/);
  });

  test('one that requires a password when there is none', async () => {
    const port = await serve((socket) => socket.write(`${GREETING}@RSYNCD: AUTHREQD abc\n`));
    const error = await failure(port, { password: () => Promise.resolve(undefined) });
    expect(error).toMatchObject({ code: 'daemon-password-missing', exitCode: 13 });
  });
});

describe('a login', () => {
  /** Everything that clients sent, by connection. */
  async function recording(
    reply: string,
  ): Promise<{ port: number; said: string[]; sockets: Socket[] }> {
    const said: string[] = [];
    const sockets: Socket[] = [];
    const port = await serve((socket) => {
      const index = said.push('') - 1;
      sockets.push(socket);
      socket.on('data', (chunk) => {
        said[index] = (said[index] ?? '') + chunk.toString('latin1');
      });
      socket.write(reply, 'latin1');
    });
    return { port, said, sockets };
  }

  const target = (port: number) => ({ host: '127.0.0.1', port, user: 'joe', module: 'm' });

  test('sends user, module and arguments; time for a question does not count', async () => {
    const { port, said } = await recording(
      '@RSYNCD: 31.0\n@RSYNCD: AUTHREQD abc\n@RSYNCD: OK\nrest',
    );
    const motd: string[] = [];
    const remote = await connectDaemon(target(port), {
      protocolMax: 32,
      connectTimeoutMs: 1500,
      password: async () => {
        await sleep(2000);
        return Buffer.from('a');
      },
      onMotd: (text) => motd.push(text),
    });
    const connection = await remote.start('ignored', ['--server', '.', 'm/']);
    expect(connection.greeted).toEqual({ protocol: 31 });
    expect(String(await firstOf(connection))).toBe('rest');
    const answer = createHash('md5').update('aabc').digest('base64').replace(/=+$/, '');
    const words = '--server\0.\0m/\0\0';
    await expect
      .poll(() => said[0])
      .toBe(`@RSYNCD: 32.0 sha512 sha256 sha1 md5\nm\njoe ${answer}\n${words}`);
    expect(motd).toEqual([]);
    await remote.close();
  });

  test('is repeated for each command, but asks once', async () => {
    const { port, said } = await recording(`${GREETING}Hi\n@RSYNCD: AUTHREQD abc\n@RSYNCD: OK\n`);
    let questions = 0;
    const motd: string[] = [];
    const remote = await connectDaemon(target(port), {
      ...OPTIONS,
      password: () => {
        questions++;
        return Promise.resolve(Buffer.from(SECRET));
      },
      onMotd: (text) => motd.push(text),
    });
    await remote.start('', ['a']);
    await remote.start('', ['b']);
    await expect.poll(() => said.map((text) => text.slice(-3))).toEqual(['a\0\0', 'b\0\0']);
    expect(questions).toBe(1);
    expect(motd).toEqual(['Hi']);
    await remote.close();
  });

  test('that the daemon ended before the first command is repeated', async () => {
    const { port, said, sockets } = await recording(`${GREETING}@RSYNCD: OK\n`);
    const remote = await connectDaemon(target(port), OPTIONS);
    sockets[0]?.end();
    await sleep(200);
    await remote.start('', ['a']);
    await expect.poll(() => said[1]?.endsWith('a\0\0')).toBe(true);
    expect(said[0]?.endsWith('m\n')).toBe(true);
    await remote.close();
  });

  test('with a version under development uses the previous one', async () => {
    const { port } = await recording('@RSYNCD: 32.7 md5\n@RSYNCD: OK\n');
    const remote = await connectDaemon(target(port), OPTIONS);
    expect((await remote.start('', ['a'])).greeted).toEqual({ protocol: 31 });
    await remote.close();
  });
});

async function firstOf(connection: Connection): Promise<Buffer> {
  for await (const chunk of connection.input) return chunk as Buffer;
  throw new Error('nothing came');
}

describe('stock rsync --daemon', () => {
  let daemon: RunningDaemon;
  let source: string;
  beforeAll(async () => {
    daemon = await startDaemon({
      m: [],
      login: WITH_LOGIN,
      'write-only': ['write only = yes'],
      one: ['max connections = 1'],
    });
    source = mkdtempSync(path.join(tmpdir(), 'ecsync-daemon-'));
    for (let i = 0; i < 30; i++) writeFileSync(path.join(source, `file ${i}`), `content ${i}`);
    for (const module of ['m', 'login', 'write-only', 'one']) {
      writeFileSync(path.join(daemon.folder(module), 'there'), 'was there');
    }
  });
  afterAll(async () => {
    rmSync(source, { recursive: true, force: true });
    await daemon.stop();
  });

  const reach = (module: string, protocolMax = 32) =>
    connectDaemon(
      { host: '127.0.0.1', port: daemon.port, user: 'joe', module },
      { ...OPTIONS, protocolMax, password: () => Promise.resolve(Buffer.from(daemon.password)) },
    );

  test.each([27, 29, 30, 31, 32])('stores and returns files with protocol %i', async (max) => {
    const remote = await reach('login', max);
    const options = { ...LISTING, protocolMax: max };
    const tree = new LocalTree(source);
    const entries = await listAll(tree);
    const into = `login/in ${max}/`;
    const pushing = await remote.start('', serverArgs(options, into));
    const report = await send(pushing, {
      options,
      entries,
      open: (entry) => tree.open(entry),
      onItem: () => undefined,
    });
    expect(report).toMatchObject({ protocol: max, filesSent: 30 });
    expect(await pushing.exited).toEqual({ code: 0, signal: null });
    const pulling = await remote.start('', senderArgs(options, [into]));
    const plan = { options, paths: [into], lengthMax: 1000, wants: () => true };
    const read = await readFiles(pulling, plan);
    expect(read.problems).toEqual([]);
    expect(String(read.files.get('file 7'))).toBe('content 7');
    expect(read.files.size).toBe(30);
    expect(await pulling.exited).toEqual({ code: 0, signal: null });
    await remote.close();
  });

  test('reports in the stream why it sends no files, since it has no standard error', async () => {
    const remote = await reach('write-only');
    const connection = await remote.start('', senderArgs(LISTING, ['write-only/']));
    const plan = { options: LISTING, paths: ['write-only/'], lengthMax: 1000 };
    await expect(readFiles(connection, plan)).rejects.toThrow(
      expect.objectContaining({ code: 'remote-exit' }),
    );
    expect(connection.stderrText()).toContain('module is write only');
    await remote.close();
  });

  test('with one connection at a time serves one command after the other', async () => {
    const remote = await reach('one');
    for (let i = 0; i < 5; i++) {
      const connection = await remote.start('', senderArgs(LISTING, ['one/']));
      const plan = { options: LISTING, paths: ['one/'], lengthMax: 1000, wants: () => true };
      expect((await readFiles(connection, plan)).files.size).toBe(1);
      connection.destroy();
    }
    const running = await remote.start('', senderArgs(LISTING, ['one/']));
    await expect(reach('one')).rejects.toThrow(
      expect.objectContaining({ code: 'daemon-busy', exitCode: 30 }),
    );
    running.destroy();
    await remote.close();
  });
});
