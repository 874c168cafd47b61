/**
 * Goal: the built-in ssh logs in only to the right server, and reports clearly why it could not.
 * Method: a real sshd (or ssh2's own server, where sshd cannot do it), one failure at a time.
 */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { connect as connectTcp, createServer, type Server as TcpServer } from 'node:net';
import path from 'node:path';
import ssh2 from 'ssh2';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ConnectionError, EcsyncError, LoginError } from '../../../src/errors.ts';
import { connectSsh } from '../../support/connect-ssh.ts';
import type { SshTarget } from '../../../src/transport/ssh-target.ts';
import type { SshOptions } from '../../../src/transport/ssh/options.ts';
import {
  freePort,
  makeKey,
  readPublicKey,
  startSshd,
  type RunningSshd,
} from '../../support/sshd.ts';
import { readAll } from '../streams.ts';

let sshd: RunningSshd;
/** A home folder for one test, empty but for `.ssh`. */
let home: string;
let homes = 0;

beforeAll(async () => {
  delete process.env['SSH_AUTH_SOCK'];
  sshd = await startSshd({ hostKeyTypes: ['ed25519', 'rsa', 'ecdsa'] });
});

afterAll(() => sshd.stop());

beforeEach(async () => {
  home = path.join(sshd.dir, `home-${++homes}`);
  await mkdir(path.join(home, '.ssh'), { recursive: true, mode: 0o700 });
});

const inSsh = (name: string): string => path.join(home, '.ssh', name);
const useKey = (name = 'id_ed25519'): Promise<void> => copyFile(sshd.keyFile, inSsh(name));
const trustServer = (): Promise<void> => copyFile(sshd.knownHostsFile, inSsh('known_hosts'));
const configure = (...lines: string[]): Promise<void> =>
  writeFile(inSsh('config'), `${lines.join('\n')}\n`);

async function logIn(options: Partial<SshOptions> = {}, target: Partial<SshTarget> = {}) {
  const remote = await connectSsh(
    { host: sshd.host, port: sshd.port, ...target },
    { acceptNewHostKey: false, connectTimeoutMs: 20_000, homeDir: home, ...options },
  );
  try {
    const connection = await remote.start('echo', ['logged in']);
    return (await readAll(connection.input)).toString();
  } finally {
    await remote.close();
  }
}

async function failure(...args: Parameters<typeof logIn>): Promise<EcsyncError> {
  const result: unknown = await logIn(...args).catch((error: unknown) => error);
  if (!(result instanceof EcsyncError)) throw new Error(`not refused: ${String(result)}`);
  return result;
}

/** Authentication requests that the server has received so far. */
const requestsSeen = (): number => sshd.log().split('userauth-request for user').length - 1;

function fingerprintOf(keyFile: string): string {
  return execFileSync('ssh-keygen', ['-lf', keyFile]).toString().split(' ')[1] ?? '';
}

const hostKey = (i: number): string => `${sshd.hostKeyFiles[i] ?? ''}.pub`;

describe('the host key', () => {
  test('known: logs in, and the log shows the requests that must not come earlier', async () => {
    await useKey();
    await trustServer();
    const before = requestsSeen();
    expect(await logIn()).toBe('logged in\n');
    expect(requestsSeen()).toBeGreaterThan(before);
  });

  test('unknown: shows the fingerprint, and offers the server nothing', async () => {
    await useKey();
    const before = requestsSeen();
    const error = await failure();
    expect(error).toBeInstanceOf(LoginError);
    expect(error.code).toBe('host-key-unknown');
    expect(error.message).toContain(fingerprintOf(hostKey(0)));
    expect(error.message).toContain(`[127.0.0.1]:${sshd.port}`);
    expect(error.hint).toContain('--accept-new-host-key');
    expect(error.hint).toContain(`ssh -p ${sshd.port} 127.0.0.1`);
    expect(requestsSeen()).toBe(before);
  });

  test('unknown, by a name of the configuration: the message has that name, too', async () => {
    await useKey();
    await configure('Host backup', `  HostName ${sshd.host}`, `  Port ${sshd.port}`);
    const error = await failure({}, { host: 'backup' });
    expect(error.message).toContain(`backup ([127.0.0.1]:${sshd.port}): the server’s host key`);
    expect(error.hint).toContain('run `ssh backup` once');
  });

  test('changed: names both fingerprints and the line, records nothing, offers nothing', async () => {
    await useKey();
    await makeKey(inSsh('old'));
    const text = `# comment\n[127.0.0.1]:${sshd.port} ${await readPublicKey(inSsh('old.pub'))}\n`;
    await writeFile(inSsh('known_hosts'), text);
    const before = requestsSeen();
    for (const acceptNewHostKey of [false, true]) {
      const error = await failure({ acceptNewHostKey });
      expect(error.code).toBe('host-key-changed');
      expect(error.message).toContain(fingerprintOf(hostKey(0)));
      expect(error.message).toContain(fingerprintOf(inSsh('old.pub')));
      expect(error.message).toContain(`${inSsh('known_hosts')} line 2`);
    }
    expect(await readFile(inSsh('known_hosts'), 'utf8')).toBe(text);
    expect(requestsSeen()).toBe(before);
  });

  test('revoked', async () => {
    await useKey();
    await trustServer();
    const line = `@revoked * ${await readPublicKey(hostKey(0))}\n`;
    await writeFile(inSsh('known_hosts'), line, { flag: 'a' });
    const before = requestsSeen();
    expect(await failure({ acceptNewHostKey: true })).toMatchObject({ code: 'host-key-revoked' });
    expect(requestsSeen()).toBe(before);
  });

  test('known only by a certificate authority: refers to the system’s ssh', async () => {
    await useKey();
    await writeFile(inSsh('known_hosts'), `@cert-authority * ${await readPublicKey(hostKey(1))}\n`);
    const error = await failure();
    expect(error.code).toBe('host-key-unknown');
    expect(error.hint).toContain('--rsh ssh');
  });

  test.each([0, 1, 2])('a server with several keys presents the known one (%i)', async (i) => {
    await useKey();
    await writeFile(
      inSsh('known_hosts'),
      `[127.0.0.1]:${sshd.port} ${await readPublicKey(hostKey(i))}\n`,
    );
    expect(await logIn()).toBe('logged in\n');
  });

  test('an unreadable list fails closed', async () => {
    await useKey();
    await mkdir(inSsh('known_hosts'));
    const before = requestsSeen();
    expect(await failure({ acceptNewHostKey: true })).toMatchObject({
      code: 'known-hosts-unreadable',
    });
    expect(requestsSeen()).toBe(before);
  });
});

describe('--accept-new-host-key', () => {
  test('records the key for the next time, and for ssh', async () => {
    await useKey();
    const hosts = path.join(home, 'new', 'known_hosts');
    await configure(`UserKnownHostsFile ${hosts}`);
    const notices: string[] = [];
    await logIn({ acceptNewHostKey: true, onNotice: (text) => notices.push(text) });
    expect(notices.join()).toContain(fingerprintOf(hostKey(0)));
    expect((await stat(hosts)).mode & 0o777).toBe(0o600);
    expect((await stat(path.dirname(hosts))).mode & 0o777).toBe(0o700);
    expect(await logIn()).toBe('logged in\n');
    const name = `[127.0.0.1]:${sshd.port}`;
    expect(execFileSync('ssh-keygen', ['-F', name, '-f', hosts]).toString()).toContain('line 1');
  });

  test('appends a whole line, hashed if configured', async () => {
    await useKey();
    await configure('HashKnownHosts yes');
    await writeFile(inSsh('known_hosts'), 'elsewhere ssh-ed25519 AAAA'); // no line end
    await logIn({ acceptNewHostKey: true });
    const lines = (await readFile(inSsh('known_hosts'), 'utf8')).split('\n');
    expect(lines[0]).toBe('elsewhere ssh-ed25519 AAAA');
    expect(lines[1]).toMatch(/^\|1\|/);
    expect(await logIn()).toBe('logged in\n');
  });

  test('is overridden by StrictHostKeyChecking yes; “no” does not relax the check', async () => {
    await useKey();
    await configure('StrictHostKeyChecking yes');
    expect(await failure({ acceptNewHostKey: true })).toMatchObject({ code: 'host-key-unknown' });
    await configure('StrictHostKeyChecking no');
    expect(await failure()).toMatchObject({ code: 'host-key-unknown' });
  });

  test('does not continue if the key cannot be recorded', async () => {
    await useKey();
    await symlink('/no/such/folder', inSsh('known_hosts'));
    const before = requestsSeen();
    expect(await failure({ acceptNewHostKey: true })).toMatchObject({
      code: 'known-hosts-unwritable',
    });
    expect(requestsSeen()).toBe(before);
  });
});

describe('keys', () => {
  beforeEach(trustServer);

  test('none accepted: names the user, the methods and the keys', async () => {
    await makeKey(inSsh('id_ed25519'));
    const error = await failure();
    expect(error).toBeInstanceOf(LoginError);
    expect(error.code).toBe('login-refused');
    expect(error.message).toContain(`${sshd.user}@127.0.0.1`);
    expect(error.message).toContain('publickey');
    expect(error.message).toContain(inSsh('id_ed25519'));
    expect(error.hint).toContain(`ssh-copy-id -p ${sshd.port} `);
  });

  test('none found, none readable', async () => {
    await writeFile(inSsh('id_rsa'), 'not a key');
    const error = await failure();
    expect(error.code).toBe('login-refused');
    expect(error.message).toContain('no key was found');
    expect(error.message).toContain(inSsh('id_rsa'));
  });

  test.each(['rsa', 'ecdsa'] as const)('an %s key', async (type) => {
    await makeKey(inSsh(`id_${type}`), { type });
    const line = `${await readPublicKey(inSsh(`id_${type}.pub`))}\n`;
    await writeFile(sshd.authorizedKeysFile, line, { flag: 'a' });
    expect(await logIn()).toBe('logged in\n');
  });

  test.each(['rsa-sha2-512', 'rsa-sha2-256'])(
    'an RSA key for a server that accepts only %s',
    async (algorithm) => {
      const strict = await startSshd({ configLines: [`PubkeyAcceptedAlgorithms ${algorithm}`] });
      try {
        await makeKey(inSsh('id_rsa'), { type: 'rsa' });
        await writeFile(strict.authorizedKeysFile, `${await readPublicKey(inSsh('id_rsa.pub'))}\n`);
        await copyFile(strict.knownHostsFile, inSsh('known_hosts'));
        expect(await logIn({}, { port: strict.port })).toBe('logged in\n');
        const seen = strict.log().split('userauth-request for user').length - 1;
        expect(seen).toBeLessThanOrEqual(algorithm === 'rsa-sha2-512' ? 3 : 4);
      } finally {
        await strict.stop();
      }
    },
  );

  test('are tried one after the other in the order of the configuration', async () => {
    for (const name of ['a', 'b']) await makeKey(inSsh(name));
    await useKey('c');
    const lines = ['a', 'absent', 'b', 'c'].map((name) => `IdentityFile ~/.ssh/${name}`);
    await configure(...lines);
    const from = sshd.log().length;
    expect(await logIn()).toBe('logged in\n');
    const tried = sshd
      .log()
      .slice(from)
      .match(/Failed publickey|Postponed publickey|Accepted publickey/g);
    expect(tried?.filter((line) => line.startsWith('Accepted'))).toHaveLength(1);
    expect(sshd.log().slice(from).split('method publickey').length - 1).toBeGreaterThanOrEqual(3);
  });

  test('too many are refused with an explanation', async () => {
    for (let i = 0; i < 8; i++) await makeKey(inSsh(`k${i}`));
    await configure(...Array.from({ length: 8 }, (_, i) => `IdentityFile ~/.ssh/k${i}`));
    expect(await failure()).toMatchObject({ code: 'login-refused' });
  });

  test('encrypted: asks only if the server accepts the key, again if wrong, skips it without an answer', async () => {
    await useKey();
    execFileSync('ssh-keygen', ['-q', '-p', '-N', 'open sesame', '-f', inSsh('id_ed25519')]);
    const asked: string[] = [];
    const answers = ['wrong', 'open sesame'];
    const askPassphrase = (file: string): Promise<string | undefined> => {
      asked.push(file);
      return Promise.resolve(answers.shift());
    };
    expect(await logIn({ askPassphrase })).toBe('logged in\n');
    expect(asked).toEqual([inSsh('id_ed25519'), inSsh('id_ed25519')]);
    const skipped = await failure({ askPassphrase });
    expect(skipped.message).toContain('no passphrase was given');
    const unasked = await failure();
    expect(unasked.message).toContain('needs a passphrase, and nobody can be asked');
  });

  test('encrypted in the old format', async () => {
    await makeKey(inSsh('id_rsa'), { type: 'rsa' });
    const line = `${await readPublicKey(inSsh('id_rsa.pub'))}\n`;
    await writeFile(sshd.authorizedKeysFile, line, { flag: 'a' });
    execFileSync('ssh-keygen', ['-q', '-p', '-m', 'PEM', '-N', 'old one', '-f', inSsh('id_rsa')]);
    await rm(inSsh('id_rsa.pub'));
    expect(await logIn({ askPassphrase: () => Promise.resolve('old one') })).toBe('logged in\n');
  });

  test('a question does not use up the time limit', async () => {
    await useKey();
    execFileSync('ssh-keygen', ['-q', '-p', '-N', 'slow typing', '-f', inSsh('id_ed25519')]);
    const askPassphrase = async (): Promise<string> => {
      await new Promise((resolve) => setTimeout(resolve, 4000));
      return 'slow typing';
    };
    expect(await logIn({ askPassphrase, connectTimeoutMs: 3500 })).toBe('logged in\n');
  });
});

describe('the ssh agent', () => {
  let agent: ReturnType<typeof spawn>;
  let socket: string;

  beforeAll(async () => {
    socket = path.join(sshd.dir, 'agent.sock');
    agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
    const env = { ...process.env, SSH_AUTH_SOCK: socket };
    for (let i = 0; ; i++) {
      try {
        execFileSync('ssh-add', ['-q', sshd.keyFile], { env, stdio: 'ignore' });
        break;
      } catch (error) {
        if (i === 100) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
    await makeKey(path.join(sshd.dir, 'stranger'));
    execFileSync('ssh-add', ['-q', path.join(sshd.dir, 'stranger')], { env, stdio: 'ignore' });
  });

  afterAll(() => agent.kill());
  beforeEach(trustServer);

  test('IdentityAgent and SSH_AUTH_SOCK', async () => {
    await configure(`IdentityAgent ${socket}`);
    expect(await logIn()).toBe('logged in\n');
    await configure('# nothing');
    process.env['SSH_AUTH_SOCK'] = socket;
    try {
      expect(await logIn()).toBe('logged in\n');
      await configure('IdentityAgent none');
      expect(await failure()).toMatchObject({ code: 'login-refused' });
    } finally {
      delete process.env['SSH_AUTH_SOCK'];
    }
  });

  test('IdentitiesOnly limits to the named keys, even if only the public half is there', async () => {
    await configure(`IdentityAgent ${socket}`, 'IdentitiesOnly yes');
    expect(await failure()).toMatchObject({ code: 'login-refused' });
    await copyFile(`${sshd.keyFile}.pub`, inSsh('mine.pub'));
    await configure(`IdentityAgent ${socket}`, 'IdentitiesOnly yes', 'IdentityFile ~/.ssh/mine');
    expect(await logIn()).toBe('logged in\n');
  });

  test('more keys than the server allows attempts: the hint names a remedy that works', async () => {
    const strict = await startSshd({ configLines: ['MaxAuthTries 2'] });
    const env = { ...process.env, SSH_AUTH_SOCK: path.join(strict.dir, 'agent.sock') };
    const full = spawn('ssh-agent', ['-D', '-a', env.SSH_AUTH_SOCK], { stdio: 'ignore' });
    try {
      await expect.poll(() => existsSync(env.SSH_AUTH_SOCK)).toBe(true);
      const keys = await Promise.all(
        [1, 2, 3].map(async (i) => {
          await makeKey(path.join(strict.dir, `k${i}`));
          return path.join(strict.dir, `k${i}`);
        }),
      );
      for (const key of [...keys, strict.keyFile]) {
        execFileSync('ssh-add', ['-q', key], { env, stdio: 'ignore' });
      }
      await copyFile(strict.knownHostsFile, inSsh('known_hosts'));
      await configure(`IdentityAgent ${env.SSH_AUTH_SOCK}`);
      const error = await failure({}, { port: strict.port });
      expect(error).toMatchObject({ code: 'login-refused' });
      expect(error.message).toContain('after too many attempts');
      expect(error.hint).toMatch(/IdentityFile .*IdentitiesOnly yes/);
      await copyFile(`${strict.keyFile}.pub`, inSsh('mine.pub'));
      const named = ['IdentitiesOnly yes', 'IdentityFile ~/.ssh/mine'];
      await configure(`IdentityAgent ${env.SSH_AUTH_SOCK}`, ...named);
      expect(await logIn({}, { port: strict.port })).toBe('logged in\n');
    } finally {
      full.kill();
      await strict.stop();
    }
  });

  test('an encrypted key that the agent holds needs no passphrase', async () => {
    await useKey();
    execFileSync('ssh-keygen', ['-q', '-p', '-N', 'unasked', '-f', inSsh('id_ed25519')]);
    await configure(`IdentityAgent ${socket}`);
    const askPassphrase = (): Promise<string> => Promise.reject(new Error('asked'));
    expect(await logIn({ askPassphrase })).toBe('logged in\n');
  });

  test('one that does not answer is a note, not a failure', async () => {
    await configure('IdentityAgent ~/no-agent');
    const error = await failure();
    expect(error.code).toBe('login-refused');
    expect(error.message).toContain('ssh agent');
    await useKey();
    expect(await logIn()).toBe('logged in\n');
  });
});

describe('a server that cannot be reached', () => {
  let server: TcpServer | undefined;

  async function serve(onConnection: (socket: import('node:net').Socket) => void): Promise<number> {
    const port = await freePort();
    server = createServer(onConnection);
    await new Promise<void>((resolve) => server?.listen(port, '127.0.0.1', resolve));
    return port;
  }

  beforeEach(() => {
    server?.close();
    server = undefined;
  });
  afterAll(() => server?.close());

  test('nothing listens', async () => {
    const port = await freePort();
    const error = await failure({}, { port });
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error).toMatchObject({ code: 'connect-failed' });
    expect(error.message).toContain(`127.0.0.1:${port}`);
  });

  test('nothing listens at the address that the configuration has for the name', async () => {
    const port = await freePort();
    await configure('Host backup', '  HostName 127.0.0.1');
    const error = await failure({}, { host: 'backup', port });
    expect(error.message).toContain(`backup (127.0.0.1:${port}): cannot be reached`);
  });

  test('the name does not exist', async () => {
    const error = await failure({}, { host: 'no-such-host.invalid' });
    expect(error).toMatchObject({ code: 'connect-failed' });
    expect(error.message).toContain('no-such-host.invalid');
  });

  test('silence ends at the time limit', async () => {
    const port = await serve(() => undefined);
    const error = await failure({ connectTimeoutMs: 400 }, { port });
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error).toMatchObject({ code: 'connect-timeout' });
  });

  test('another service than ssh answers', async () => {
    const port = await serve((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    expect(await failure({}, { port })).toBeInstanceOf(ConnectionError);
  });

  test('random bytes answer', async () => {
    const port = await serve((socket) => {
      socket.on('error', () => undefined);
      socket.end(Buffer.concat([Buffer.from('SSH-2.0-x\r\n'), Buffer.alloc(4096, 0xa7)]));
    });
    expect(await failure({}, { port })).toBeInstanceOf(ConnectionError);
  });

  test('the connection is closed at once', async () => {
    const port = await serve((socket) => socket.destroy());
    expect(await failure({}, { port })).toBeInstanceOf(ConnectionError);
  });
});

describe('passwords', () => {
  let port: number;
  let server: InstanceType<typeof ssh2.Server>;
  let method: 'password' | 'keyboard-interactive';
  /** Methods that the server lists when it refuses. */
  let offered: ('password' | 'keyboard-interactive')[] | undefined;
  /** Sessions that the server accepts on one connection. */
  let sessionsMax = Infinity;

  beforeAll(async () => {
    const hostKeys = [await readFile(sshd.hostKeyFiles[0] ?? '')];
    server = new ssh2.Server({ hostKeys }, (client) => {
      client.on('error', () => undefined);
      client.on('authentication', (attempt) => {
        const refuse = (): void => {
          attempt.reject(offered ?? [method]);
        };
        if (attempt.method === 'password') {
          if (method === 'password' && attempt.password === 'right') attempt.accept();
          else refuse();
        } else if (attempt.method === 'keyboard-interactive') {
          attempt.prompt([{ prompt: '\u0007\r\u202eCode: ', echo: false }], (answers) => {
            if (method === 'keyboard-interactive' && answers[0] === 'right') attempt.accept();
            else refuse();
          });
        } else refuse();
      });
      let sessions = 0;
      client.on('session', (accept, reject) => {
        if (sessions++ >= sessionsMax) {
          reject();
          return;
        }
        accept().on('exec', (acceptExec) => {
          const channel = acceptExec();
          channel.write('logged in\n');
          channel.exit(0);
          channel.end();
        });
      });
    });
    port = await freePort();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  });

  afterAll(() => server.close());

  test.each(['password', 'keyboard-interactive'] as const)(
    '%s: asks up to three times, and only if somebody can answer',
    async (name) => {
      method = name;
      const key = await readPublicKey(hostKey(0));
      await writeFile(inSsh('known_hosts'), `[127.0.0.1]:${port} ${key}\n`);
      const asked: string[] = [];
      const given = (answers: string[]) => (text: string) => {
        asked.push(text);
        return Promise.resolve(answers.shift());
      };
      expect(await logIn({ askPassword: given(['wrong', 'right']) }, { port })).toBe('logged in\n');
      const where = `${sshd.user}@127.0.0.1`;
      // A server's text is marked as such and shown without control characters.
      const question =
        name === 'password' ? `${where}: password` : `the server ${where} asks: Code`;
      expect(asked).toEqual([question, question]);
      for (const askPassword of [undefined, given([]), given(['a', 'b', 'c', 'right'])]) {
        const options = askPassword === undefined ? {} : { askPassword };
        expect(await failure(options, { port })).toMatchObject({ code: 'login-refused' });
      }
    },
  );

  describe('by configuration', () => {
    let asked: string[];
    const askPassword = (text: string): Promise<string> => {
      asked.push(text.replace(/^.*: /, ''));
      return Promise.resolve('wrong');
    };

    beforeEach(async () => {
      asked = [];
      method = 'password';
      offered = ['password', 'keyboard-interactive'];
      const key = await readPublicKey(hostKey(0));
      await writeFile(inSsh('known_hosts'), `[127.0.0.1]:${port} ${key}\n`);
    });

    afterEach(() => {
      offered = undefined;
      sessionsMax = Infinity;
    });

    test.each([
      ['', ['Code', 'Code', 'Code', 'password', 'password', 'password']],
      ['NumberOfPasswordPrompts 1', ['Code', 'password']],
      ['NumberOfPasswordPrompts 0', []],
      ['PreferredAuthentications password\nNumberOfPasswordPrompts 2', ['password', 'password']],
      [
        'PreferredAuthentications password,keyboard-interactive\nNumberOfPasswordPrompts 1',
        ['password', 'Code'],
      ],
      ['KbdInteractiveAuthentication no\nNumberOfPasswordPrompts 1', ['password']],
      ['PasswordAuthentication no\nNumberOfPasswordPrompts 1', ['Code']],
      ['BatchMode yes', []],
    ])('%j asks in the order of ssh', async (text, questions) => {
      await configure(text);
      expect(await failure({ askPassword }, { port })).toMatchObject({ code: 'login-refused' });
      expect(asked).toEqual(questions);
    });

    test('a second login reuses the password', async () => {
      sessionsMax = 1;
      offered = ['password'];
      const right = (text: string): Promise<string> => {
        asked.push(text);
        return Promise.resolve('right');
      };
      const options = { acceptNewHostKey: false, connectTimeoutMs: 20_000, homeDir: home };
      const remote = await connectSsh(
        { host: sshd.host, port },
        { ...options, askPassword: right },
      );
      for (let i = 0; i < 2; i++) {
        const connection = await remote.start('echo', []);
        expect((await readAll(connection.input)).toString()).toBe('logged in\n');
      }
      await remote.close();
      expect(asked).toHaveLength(1);
    });
  });
});

test('a second login does not ask for the passphrase again', async () => {
  const single = await startSshd({ maxSessions: 1 });
  try {
    execFileSync('ssh-keygen', ['-q', '-p', '-N', 'once', '-f', single.keyFile]);
    const asked: string[] = [];
    const askPassphrase = (file: string): Promise<string> => {
      asked.push(file);
      return Promise.resolve('once');
    };
    const options = { acceptNewHostKey: false, connectTimeoutMs: 20_000, homeDir: single.home };
    const remote = await connectSsh(
      { host: single.host, port: single.port },
      { ...options, askPassphrase },
    );
    const connections = [await remote.start('cat', []), await remote.start('cat', [])];
    await remote.close();
    expect(connections).toHaveLength(2);
    expect(asked).toEqual([single.keyFile]);
  } finally {
    await single.stop();
  }
});

test('ConnectionAttempts retries while nothing answers', async () => {
  await useKey();
  const port = await freePort();
  const key = await readPublicKey(hostKey(0));
  await writeFile(inSsh('known_hosts'), `[127.0.0.1]:${port} ${key}\n`);
  expect(await failure({}, { port })).toMatchObject({ code: 'connect-failed' });
  await configure('ConnectionAttempts 20');
  const late = createServer((socket) => {
    const inner = connectTcp(sshd.port, sshd.host);
    for (const end of [socket, inner]) end.on('error', () => undefined);
    socket.pipe(inner).pipe(socket);
  });
  const opening = logIn({}, { port });
  setTimeout(() => late.listen(port, '127.0.0.1'), 500);
  try {
    expect(await opening).toBe('logged in\n');
  } finally {
    late.close();
  }
});

test('a configuration that needs more than ssh2 is refused by name', async () => {
  await useKey();
  await configure('ProxyCommand nc %h %p');
  expect(await failure()).toMatchObject({ code: 'ssh-config-unsupported' });
});
