// Goal: only a clear answer of a program counts: what is not plainly yes trusts no host and accepts no conf, and what
// is no password is none; a question that fails, or that nobody answers, ends the login with all that belongs to it.
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Bench, ecsync, initVault, makeBench } from '../e2e/support/cli.ts';
import { startDaemon, WITH_LOGIN, type RunningDaemon } from '../support/rsync-daemon.ts';
import { makeKey, readPublicKey, startSshd, type RunningSshd } from '../support/sshd.ts';
import { failureOf, importLibrary, type Library } from './support/library.ts';
import { runModule } from './support/program.ts';

let library: Library;
let bench: Bench;
let sshd: RunningSshd;
let daemon: RunningDaemon;
beforeAll(async () => {
  library = await importLibrary();
  bench = await makeBench();
  [sshd, daemon] = await Promise.all([startSshd(), startDaemon({ copies: WITH_LOGIN })]);
  mkdirSync(bench.source, { recursive: true });
  writeFileSync(path.join(bench.source, 'note'), 'a note');
  await initVault(bench);
});
afterAll(async () => {
  await Promise.all([sshd.stop(), daemon.stop()]);
  await bench.remove();
});

const overSsh = (): string =>
  `ssh://${sshd.user}@127.0.0.1:${sshd.port}${path.join(bench.dir, 'over-ssh')}`;
const atDaemon = (): string => `rsync://joe@127.0.0.1:${daemon.port}/copies/here`;

/** How a push ends, by a program that answers questions and ends by itself. */
async function pushed(questions: string, about: { address: string; options?: string }) {
  const { address, options = '{}' } = about;
  const body = `
    const { SOURCE, PASSWORD, ADDRESS } = process.env;
    const vault = await library.openVault(SOURCE, { password: PASSWORD, questions: ${questions} });
    const ended = await vault.push(ADDRESS, ${options}).then(
      ({ exitCode }) => exitCode,
      (error) => error.code ?? error.message,
    );
    await vault.close();
    console.log(ended);`;
  const env = { SOURCE: bench.source, PASSWORD: bench.password, ADDRESS: address };
  const { code, stdout, stderr } = await runModule(body, { ...env, HOME: sshd.home });
  return { code, ended: stdout.trim(), stderr };
}

describe('an answer that is not plainly yes', () => {
  const known = (): string => readFileSync(sshd.knownHostsFile, 'utf8');

  it.each([
    ['a word', "() => 'no'", 'option-invalid'],
    ['a word that comes late', "async () => 'no'", 'option-invalid'],
    ['an object', '() => ({ trusted: false })', 'option-invalid'],
    ['a number', '() => 1', 'option-invalid'],
    ['nothing', '() => undefined', 'host-key-unknown'],
    ['no', '() => false', 'host-key-unknown'],
  ])('trusts no host: %s', async (_what, askHostKey, ended) => {
    rmSync(sshd.knownHostsFile, { force: true });
    writeFileSync(sshd.knownHostsFile, '');
    const result = await pushed(`{ askHostKey: ${askHostKey} }`, { address: overSsh() });
    expect(result).toEqual({ code: 0, ended, stderr: '' });
    expect(known()).toBe('');
  });

  it('is not needed where it is yes', async () => {
    writeFileSync(sshd.knownHostsFile, '');
    const result = await pushed('{ askHostKey: () => true }', { address: overSsh() });
    expect(result).toEqual({ code: 0, ended: '0', stderr: '' });
    expect(known()).toContain('ssh-ed25519');
  });

  it.each([
    ['a word', () => 'no', 'option-invalid'],
    ['a word that comes late', () => Promise.resolve('no') as unknown, 'option-invalid'],
    ['nothing', () => undefined as unknown, 'interrupted'],
    ['no', () => false, 'interrupted'],
  ])('accepts no conf: %s', async (_what, answer, code) => {
    const folder = path.join(bench.dir, 'costly');
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder);
    const vaultDir = path.join(bench.dir, 'costly-vault');
    rmSync(vaultDir, { recursive: true, force: true });
    const words = ['--passfile', bench.passfile, '--scryptn', '17', '--vault-dir', vaultDir];
    expect(await ecsync(['init', folder, ...words])).toMatchObject({ code: 0 });
    const agree = answer as () => boolean;
    const about = { password: bench.password, questions: { agree } };
    expect(await failureOf(library.openCopy(vaultDir, about))).toMatchObject({ code });
    const clone = path.join(bench.dir, 'costly-clone');
    expect(await failureOf(library.cloneCopy(vaultDir, clone, about))).toMatchObject({ code });
  });
});

describe('an answer that is no text', () => {
  it.each([
    ['a number', '() => 5'],
    ['null', '() => null'],
    ['a list', "async () => ['secret']"],
  ])('is no password of a daemon: %s', async (_what, daemonPassword) => {
    const result = await pushed(`{ daemonPassword: ${daemonPassword} }`, { address: atDaemon() });
    expect(result).toEqual({ code: 0, ended: 'option-invalid', stderr: '' });
  });
});

describe('a question', () => {
  it.each([
    ['of no such name', { askFoo: () => true }, 'option-unknown'],
    ['that is no function', { askPassword: 5 }, 'option-invalid'],
    ['of copies, asked of a vault', { agree: () => true }, 'option-unknown'],
    ['in no object', 5, 'option-invalid'],
    ['in no object but null', null, 'option-invalid'],
    ['in a list', [], 'option-invalid'],
  ])('%s is refused', async (_what, questions, code) => {
    const { password } = bench;
    const asked = { password, questions: questions as object };
    const refused = await failureOf(library.openVault(bench.source, asked));
    expect(refused).toBeInstanceOf(library.UsageError);
    expect(refused).toMatchObject({ code });
  });
});

describe('a question that fails', () => {
  const THROWS = "() => { throw new RangeError('mine'); }";

  it.each(['askHostKey', 'askPassphrase', 'daemonPassword'])('%s: ends the push', async (name) => {
    const login = loginFor(name);
    const result = await pushed(`{ ${name}: ${THROWS} }`, await login.address());
    expect(result).toEqual({ code: 0, ended: 'mine', stderr: '' });
    await login.end();
  });
});

describe('a question that nobody answers', () => {
  const NEVER = '() => new Promise(() => {})';

  it.each(['askHostKey', 'askPassphrase', 'daemonPassword'])(
    '%s: ends with the signal of the push, and the program can end',
    async (name) => {
      const login = loginFor(name);
      const options = '{ signal: AbortSignal.timeout(600) }';
      const result = await pushed(`{ ${name}: ${NEVER} }`, { ...(await login.address()), options });
      expect(result).toEqual({ code: 0, ended: 'interrupted', stderr: '' });
      await login.end();
    },
  );

  it('behind a jump host: ends both logins', async () => {
    const config = path.join(sshd.home, '.ssh/config');
    writeFileSync(
      config,
      `Host inner\n  HostName localhost\n  Port ${sshd.port}\n  ProxyJump ${sshd.user}@127.0.0.1:${sshd.port}\n`,
    );
    const options = '{ signal: AbortSignal.timeout(1500) }';
    const address = `ssh://${sshd.user}@inner${path.join(bench.dir, 'over-ssh')}`;
    const result = await pushed(`{ askHostKey: ${NEVER} }`, { address, options });
    expect(result).toEqual({ code: 0, ended: 'interrupted', stderr: '' });
    rmSync(config);
  });
});

/** Where a login asks a question. */
function loginFor(name: string) {
  const locked = path.join(bench.dir, 'locked-key');
  const others = { end: () => Promise.resolve() };
  if (name === 'daemonPassword')
    return { ...others, address: () => Promise.resolve({ address: atDaemon() }) };
  if (name === 'askHostKey') {
    const known = readFileSync(sshd.knownHostsFile, 'utf8');
    return {
      address: () => {
        writeFileSync(sshd.knownHostsFile, '');
        return Promise.resolve({ address: overSsh() });
      },
      end: () => writeFile(sshd.knownHostsFile, known),
    };
  }
  return {
    address: async () => {
      renameSync(sshd.keyFile, locked);
      renameSync(`${sshd.keyFile}.pub`, `${locked}.pub`);
      await makeKey(sshd.keyFile, { passphrase: 'secret' });
      writeFileSync(
        sshd.authorizedKeysFile,
        `${readFileSync(sshd.authorizedKeysFile, 'utf8')}${await readPublicKey(`${sshd.keyFile}.pub`)}\n`,
      );
      return { address: overSsh() };
    },
    end: async () => {
      await rm(sshd.keyFile);
      renameSync(locked, sshd.keyFile);
      renameSync(`${locked}.pub`, `${sshd.keyFile}.pub`);
    },
  };
}
