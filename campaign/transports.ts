// The transports to a copy: a local folder, sshd, an rsync daemon, rrsync. Each has a relay that
// counts bytes and injects faults.
import { mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { startDaemon } from '../test/support/rsync-daemon.ts';
import { startSshd } from '../test/support/sshd.ts';
import { Relay } from './relay.ts';

export type TransportName = 'local' | 'ssh' | 'daemon' | 'rrsync';
export const TRANSPORT_NAMES = ['local', 'ssh', 'daemon', 'rrsync'] as const;

/** An open transport. */
export interface Transport {
  readonly name: TransportName;
  readonly env: Readonly<Record<string, string>>;
  /** The local folder that holds all copies. */
  readonly shelf: string;
  /** The address of the copy with this name, as a user would write it. */
  url(copy: string): string;
  /** Absent for a local folder. */
  readonly relay?: Relay;
  /** Kills all processes of the server that work on a copy. */
  killServer(): void;
  /** Kills the sessions of the server's sshd or daemon. */
  killSessions(): Promise<void>;
  stop(): Promise<void>;
}

/** Processes of a server's rsync that work below a folder. */
export function serversAt(folder: string): number[] {
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .filter((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
        if (!/^([^\0]*\/)?rsync\0/.test(words)) return false;
        return words.includes(folder) || readlinkSync(`/proc/${pid}/cwd`).startsWith(folder);
      } catch {
        return false; // it ended meanwhile
      }
    })
    .map(Number);
}

function killAll(folder: string): void {
  for (const pid of serversAt(folder)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended meanwhile.
    }
  }
}

function localTransport(dir: string): Transport {
  const shelf = path.join(dir, 'local');
  mkdirSync(shelf);
  return {
    name: 'local',
    env: { HOME: dir },
    shelf,
    url: (copy) => path.join(shelf, copy),
    killServer: () => undefined,
    killSessions: () => Promise.resolve(),
    stop: () => Promise.resolve(),
  };
}

/** A home folder that knows the server behind a relay. */
function homeFor(dir: string, relayPort: number, keyFile: string, hostKeyFile: string): string {
  const ssh = path.join(dir, 'home', '.ssh');
  mkdirSync(ssh, { recursive: true, mode: 0o700 });
  const [type = '', key = ''] = readFileSync(`${hostKeyFile}.pub`, 'utf8').split(' ');
  writeFileSync(path.join(ssh, 'known_hosts'), `[127.0.0.1]:${relayPort} ${type} ${key.trim()}\n`);
  writeFileSync(path.join(ssh, 'config'), `IdentityFile ${keyFile}\n`, { mode: 0o600 });
  return path.dirname(ssh);
}

async function sshTransport(dir: string, name: 'ssh' | 'rrsync'): Promise<Transport> {
  const place = path.join(dir, name);
  const shelf = path.join(place, 'shelf');
  mkdirSync(shelf, { recursive: true });
  const forced = name === 'rrsync' ? { forcedCommand: `rrsync ${shelf}` } : {};
  const sshd = await startSshd(forced);
  const relay = await Relay.start(sshd.port);
  const home = homeFor(place, relay.port, sshd.keyFile, sshd.hostKeyFiles[0] ?? '');
  const base = `ssh://${sshd.user}@127.0.0.1:${relay.port}`;
  return {
    name,
    env: { HOME: home },
    shelf,
    url: (copy) => (name === 'ssh' ? `${base}${shelf}/${copy}` : `${base}/./${copy}`),
    relay,
    killServer: () => killAll(shelf),
    killSessions: () => sshd.killSessions(),
    stop: async () => {
      await relay.stop();
      await sshd.stop();
    },
  };
}

async function daemonTransport(dir: string): Promise<Transport> {
  const daemon = await startDaemon({ open: [] });
  const relay = await Relay.start(daemon.port);
  const shelf = daemon.folder('open');
  return {
    name: 'daemon',
    env: { HOME: dir },
    shelf,
    url: (copy) => `rsync://127.0.0.1:${relay.port}/open/${copy}`,
    relay,
    killServer: () => killAll(shelf),
    killSessions: () => daemon.killSessions(),
    stop: async () => {
      await relay.stop();
      await daemon.stop();
    },
  };
}

/** Opens transports on demand, and keeps them open. */
export class Transports {
  readonly #dir: string;
  readonly #open = new Map<TransportName, Transport>();

  constructor(dir: string) {
    this.#dir = dir;
  }

  async get(name: TransportName): Promise<Transport> {
    const open = this.#open.get(name) ?? (await this.#start(name));
    this.#open.set(name, open);
    return open;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#open.values()].map((transport) => transport.stop()));
  }

  #start(name: TransportName): Promise<Transport> | Transport {
    if (name === 'local') return localTransport(this.#dir);
    return name === 'daemon' ? daemonTransport(this.#dir) : sshTransport(this.#dir, name);
  }
}
