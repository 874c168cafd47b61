import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

export type KeyType = 'ed25519' | 'ecdsa' | 'rsa';

/** What kind of server to start. The default is a plain server that accepts one key. */
export interface SshdOptions {
  /** Host keys to offer; default one, `ed25519`. */
  readonly hostKeyTypes?: readonly KeyType[];
  /** `command="…"` of the authorised key: runs instead of what the client asks for. */
  readonly forcedCommand?: string;
  /** Further options of the authorised key, e.g. `restrict`. */
  readonly keyOptions?: string;
  /** Channels a connection may have open at once; sshd's default is 10. */
  readonly maxSessions?: number;
  /** Account to log in as; default the one running the tests. */
  readonly user?: string;
  /** Offer password login too (there is no password that works); default no. */
  readonly passwordOffered?: boolean;
  /** Further lines for sshd_config; placed first, so they win. */
  readonly configLines?: readonly string[];
}

/**
 * A real `/usr/sbin/sshd` on 127.0.0.1 with a throw-away identity, authorised key and home folder.
 *
 * Use the built-in client with `connectSsh({ host, port, user }, { homeDir: sshd.home, … })` (or
 * `HOME=sshd.home` for the command line), and the system's ssh with `--rsh` set to `sshd.rsh`.
 */
export interface RunningSshd {
  readonly host: '127.0.0.1';
  readonly port: number;
  readonly user: string;
  /** Temporary folder that holds everything below; removed by `stop()`. */
  readonly dir: string;
  /** A home folder whose `.ssh` has `id_ed25519` (authorised) and `known_hosts` (knows the server). */
  readonly home: string;
  /** The authorised private key; its public half is beside it with `.pub`. */
  readonly keyFile: string;
  readonly knownHostsFile: string;
  readonly authorizedKeysFile: string;
  /** Private host key files in the order of `hostKeyTypes`; public halves with `.pub`. */
  readonly hostKeyFiles: readonly string[];
  /** A ready `--rsh` command: the system's ssh with this key and known_hosts and nothing else. */
  readonly rsh: string;
  /** Everything sshd logged so far, at level DEBUG1. */
  log(): string;
  /** Kills every running session (not the listener), as a crash or a reboot would. */
  killSessions(): Promise<void>;
  /** Stops (SIGSTOP) or continues every running session: a peer that is there but silent. */
  freezeSessions(frozen: boolean): Promise<void>;
  /** Ends the server and its sessions and removes the folder. */
  stop(): Promise<void>;
}

/** Makes a key pair at `file` and `file.pub` with ssh-keygen. */
export async function makeKey(
  file: string,
  options: { type?: KeyType; passphrase?: string; comment?: string } = {},
): Promise<void> {
  const { type = 'ed25519', passphrase = '', comment = 'test' } = options;
  const bits = type === 'rsa' ? ['-b', '2048'] : [];
  await run('ssh-keygen', ['-q', '-t', type, ...bits, '-N', passphrase, '-C', comment, '-f', file]);
}

/** `type base64` of a public key file, without its comment. */
export async function readPublicKey(file: string): Promise<string> {
  const [type = '', blob = ''] = (await readFile(file, 'utf8')).trim().split(' ');
  return `${type} ${blob}`;
}

/** A port on 127.0.0.1 on which nothing listens (at the moment of asking). */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      probe.close(() => {
        resolve(port);
      });
    });
  });
}

/**
 * Starts a server.
 *
 * @throws {Error} when sshd does not listen within ten seconds; its log is in the message
 */
export async function startSshd(options: SshdOptions = {}): Promise<RunningSshd> {
  const dir = await mkdtemp(path.join(tmpdir(), 'ecsync-sshd-'));
  try {
    await chmod(dir, 0o755); // sshd reads authorised keys as the account that logs in
    const files = await layOut(dir, options);
    for (let attempt = 1; ; attempt++) {
      const port = await freePort();
      try {
        const listener = await listen(dir, port, files.hostKeyFiles, options);
        await writeKnownHosts(files, port);
        return runningSshd(listener, {
          ...files,
          dir,
          port,
          user: options.user ?? userInfo().username,
        });
      } catch (error) {
        if (attempt === 3) throw error; // somebody may have taken the port in between
      }
    }
  } catch (error) {
    await rm(dir, { recursive: true, force: true });
    throw error;
  }
}

interface Files {
  readonly home: string;
  readonly keyFile: string;
  readonly knownHostsFile: string;
  readonly authorizedKeysFile: string;
  readonly hostKeyFiles: readonly string[];
}

async function layOut(dir: string, options: SshdOptions): Promise<Files> {
  const home = path.join(dir, 'home');
  const ssh = path.join(home, '.ssh');
  await mkdir(ssh, { recursive: true, mode: 0o700 });
  const files = {
    home,
    keyFile: path.join(ssh, 'id_ed25519'),
    knownHostsFile: path.join(ssh, 'known_hosts'),
    authorizedKeysFile: path.join(dir, 'authorized_keys'),
    hostKeyFiles: (options.hostKeyTypes ?? ['ed25519']).map((type) =>
      path.join(dir, `host_${type}`),
    ),
  };
  await makeKey(files.keyFile);
  for (const [i, file] of files.hostKeyFiles.entries()) {
    await makeKey(file, { type: options.hostKeyTypes?.[i] ?? 'ed25519' });
  }
  const keyOptions = [
    ...(options.forcedCommand === undefined
      ? []
      : [`command="${options.forcedCommand.replaceAll('"', '\\"')}"`]),
    ...(options.keyOptions === undefined ? [] : [options.keyOptions]),
  ].join(',');
  const publicKey = await readPublicKey(`${files.keyFile}.pub`);
  await writeFile(files.authorizedKeysFile, `${keyOptions} ${publicKey}\n`.trimStart());
  return files;
}

async function writeKnownHosts(files: Files, port: number): Promise<void> {
  const lines = await Promise.all(
    files.hostKeyFiles.map(
      async (file) => `[127.0.0.1]:${port} ${await readPublicKey(`${file}.pub`)}\n`,
    ),
  );
  await writeFile(files.knownHostsFile, lines.join(''), { mode: 0o600 });
}

interface Listener {
  readonly child: ChildProcess;
  log(): string;
}

async function listen(
  dir: string,
  port: number,
  hostKeyFiles: readonly string[],
  options: SshdOptions,
): Promise<Listener> {
  const configFile = path.join(dir, 'sshd_config');
  const config = [
    ...(options.configLines ?? []),
    'ListenAddress 127.0.0.1',
    `Port ${port}`,
    ...hostKeyFiles.map((file) => `HostKey ${file}`),
    `AuthorizedKeysFile ${path.join(dir, 'authorized_keys')}`,
    `PidFile ${path.join(dir, 'sshd.pid')}`,
    'UsePAM no',
    'StrictModes no',
    'PermitRootLogin yes',
    `PasswordAuthentication ${options.passwordOffered === true ? 'yes' : 'no'}`,
    'KbdInteractiveAuthentication no',
    'PrintMotd no',
    // bash would read ~/.bashrc of the real account in a session that is its first shell.
    'SetEnv SHLVL=1',
    'MaxStartups 100',
    'LogLevel DEBUG1',
    ...(options.maxSessions === undefined ? [] : [`MaxSessions ${options.maxSessions}`]),
    // sshd takes no second one.
    ...(options.configLines?.some((line) => line.startsWith('Subsystem')) === true
      ? []
      : ['Subsystem sftp internal-sftp']),
  ];
  await writeFile(configFile, `${config.join('\n')}\n`);
  await mkdir('/run/sshd', { recursive: true });
  // To a file: a pipe that nobody empties, while a test waits synchronously, would stop the server.
  const logFile = path.join(dir, `sshd-${port}.log`);
  const child = spawn('/usr/sbin/sshd', ['-D', '-E', logFile, '-f', configFile], {
    stdio: 'ignore',
  });
  child.once('error', () => undefined);
  const log = (): string => {
    try {
      return readFileSync(logFile, 'latin1');
    } catch {
      return ''; // not started yet, or stopped
    }
  };
  const giveUpAt = Date.now() + 10_000;
  while (!log().includes(`Server listening on 127.0.0.1 port ${port}`)) {
    if (child.exitCode !== null || child.pid === undefined || Date.now() > giveUpAt) {
      child.kill('SIGKILL');
      throw new Error(`sshd did not start:\n${log()}`);
    }
    await sleep(10);
  }
  return { child, log };
}

function runningSshd(
  listener: Listener,
  facts: Files & { dir: string; port: number; user: string },
): RunningSshd {
  const { child } = listener;
  const signalSessions = async (signal: NodeJS.Signals): Promise<void> => {
    for (const pid of await descendants(child.pid ?? 0)) {
      try {
        process.kill(pid, signal);
      } catch {
        // It ended on its own in between.
      }
    }
  };
  return {
    ...facts,
    host: '127.0.0.1',
    rsh: [
      'ssh -F none -o IdentitiesOnly=yes -o IdentityAgent=none -o GlobalKnownHostsFile=/dev/null',
      `-o UserKnownHostsFile=${facts.knownHostsFile} -i ${facts.keyFile}`,
    ].join(' '),
    log: () => listener.log(),
    killSessions: () => signalSessions('SIGKILL'),
    freezeSessions: (frozen) => signalSessions(frozen ? 'SIGSTOP' : 'SIGCONT'),
    stop: async () => {
      await signalSessions('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) {
        const ended = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGKILL');
        await ended;
      }
      await rm(facts.dir, { recursive: true, force: true });
    },
  };
}

/** Processes below `pid`, deepest last. */
async function descendants(pid: number): Promise<number[]> {
  const { stdout } = await run('ps', ['-e', '-o', 'pid=,ppid=']);
  const pairs = stdout
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number));
  const found: number[] = [];
  const visit = (parent: number): void => {
    for (const [child = 0, ppid = 0] of pairs) {
      if (ppid !== parent) continue;
      found.push(child);
      visit(child);
    }
  };
  visit(pid);
  return found;
}
