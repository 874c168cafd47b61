import { spawn, type ChildProcess } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './sshd.ts';

/** Lines of a module's section in rsyncd.conf, beside its path. */
export type ModuleLines = Readonly<Record<string, readonly string[]>>;

/** A stock `rsync --daemon` on 127.0.0.1 with throw-away modules. */
export interface RunningDaemon {
  readonly port: number;
  /** Temporary folder that holds everything; removed by `stop()`. */
  readonly dir: string;
  /** Its configuration, for a daemon that a remote shell starts. */
  readonly configFile: string;
  /** The user and the password of modules with `auth users = joe`. */
  readonly password: string;
  /** Folder of a module. */
  folder(module: string): string;
  log(): Promise<string>;
  /** Processes that serve connections. */
  sessions(): Promise<readonly number[]>;
  /** Kills what serves the connections there are, as a crash would; the listener lives on. */
  killSessions(): Promise<void>;
  stop(): Promise<void>;
}

/** Line for modules that want `joe` and his password. */
export const WITH_LOGIN = ['auth users = joe', 'secrets file = $DIR/secrets'];

/**
 * Starts a daemon.
 *
 * @param modules - `$DIR` in a line is the daemon's folder; writable and run as the user of the
 *   tests unless a line says otherwise
 * @throws {Error} when it does not listen within ten seconds
 */
export async function startDaemon(modules: ModuleLines): Promise<RunningDaemon> {
  const dir = await mkdtemp(path.join(tmpdir(), 'ecsync-rsyncd-'));
  await chmod(dir, 0o755);
  const password = 'open sesame';
  await writeFile(path.join(dir, 'secrets'), `joe:${password}\n`, { mode: 0o600 });
  await writeFile(path.join(dir, 'motd'), 'Welcome to the tests\n\x1b[31mred\n');
  const port = await freePort();
  const configFile = path.join(dir, 'rsyncd.conf');
  await writeFile(configFile, await configOf(dir, modules));
  const words = ['--daemon', '--no-detach', '--config', configFile, '--port', `${port}`];
  const daemon = spawn('rsync', [...words, '--address', '127.0.0.1'], { stdio: 'ignore' });
  await listening(daemon, port, dir);
  return {
    port,
    dir,
    configFile,
    password,
    folder: (module) => path.join(dir, 'modules', module),
    log: () => readFile(path.join(dir, 'log'), 'utf8'),
    sessions: () => childrenOf(daemon),
    killSessions: async () => {
      // A session is two processes: one that is left alone would hold the connection open.
      for (const pid of await forksOf(daemon, configFile)) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // It ended in between.
        }
      }
    },
    stop: async () => {
      if (daemon.exitCode === null && daemon.signalCode === null) {
        const ended = new Promise((resolve) => daemon.once('exit', resolve));
        daemon.kill();
        await ended;
      }
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function childrenOf({ pid = 0 }: ChildProcess): Promise<readonly number[]> {
  const list = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return list
    .split(' ')
    .filter((word) => word !== '')
    .map(Number);
}

/** Every process that the daemon has forked, also those whose parent has gone. */
async function forksOf({ pid }: ChildProcess, configFile: string): Promise<readonly number[]> {
  const found: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === pid) continue;
    const words = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '');
    if (words.includes(configFile)) found.push(Number(name));
  }
  return found;
}

async function configOf(dir: string, modules: ModuleLines): Promise<string> {
  const lines = [
    `log file = ${dir}/log`,
    `lock file = ${dir}/lock`,
    `motd file = ${dir}/motd`,
    `uid = ${process.getuid?.() ?? 0}`,
    `gid = ${process.getgid?.() ?? 0}`,
    'read only = no',
    'use chroot = no',
    'munge symlinks = no',
  ];
  for (const [name, own] of Object.entries(modules)) {
    const folder = path.join(dir, 'modules', name);
    await mkdir(folder, { recursive: true });
    lines.push(`[${name}]`, `path = ${folder}`);
    lines.push(...own.map((line) => line.replaceAll('$DIR', dir)));
  }
  return `${lines.join('\n')}\n`;
}

async function listening(daemon: ChildProcess, port: number, dir: string): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const probe = connect({ host: '127.0.0.1', port }, () => {
        probe.destroy();
        resolve(true);
      });
      probe.once('error', () => resolve(false));
    });
    if (isOpen) return;
    if (daemon.exitCode !== null) break;
    await sleep(50);
  }
  const log = await readFile(path.join(dir, 'log'), 'utf8').catch(() => '');
  daemon.kill();
  await rm(dir, { recursive: true, force: true });
  throw new Error(`the rsync daemon does not listen: ${log}`);
}
