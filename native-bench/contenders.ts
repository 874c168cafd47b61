import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { RunningSshd } from '../test/support/sshd.ts';
import { cpuMsOf, run, type Sample } from './measure.ts';

/** Where one contender keeps the copy of one source. */
export interface Place {
  readonly source: string;
  readonly copy: string;
  /** For whatever the contender must keep beside the copy. */
  readonly state: string;
}

export interface Contender {
  readonly name: string;
  /** Done once for each source, not timed. */
  prepare(place: Place): Promise<void>;
  /** Removes the copy and all memory of it. */
  forget(place: Place): void;
  /** Done before each push, not timed. */
  before?(place: Place): Promise<void>;
  /** What is timed: makes the copy, or restores one to where the copy would be. */
  push(place: Place): Promise<Sample>;
}

export const PASSWORD = 'benchmark';

let asideCount = 0;

/**
 * Puts a copy aside instead of removing it: just after a mass deletion ext4 is several times slower
 * to create files, which would measure the file system.
 */
export function removeCopy(place: Place): void {
  if (existsSync(place.copy)) renameSync(place.copy, `${place.copy}-aside-${asideCount++}`);
}

export function writePassfile(place: Place): string {
  const passfile = path.join(place.state, 'passfile');
  mkdirSync(place.state, { recursive: true });
  writeFileSync(passfile, `${PASSWORD}\n`, { mode: 0o600 });
  return passfile;
}

/** ecsync with its built-in ssh, the vault's own files kept out of the source. */
export function ecsyncContender(cli: string, sshd: RunningSshd): Contender {
  const vault = (place: Place): string => path.join(place.state, 'vault');
  const passfile = (place: Place): string => path.join(place.state, 'passfile');
  const env = { ...process.env, HOME: sshd.home, CI: '1' };
  return {
    name: 'ecsync',
    prepare: async (place) => {
      writePassfile(place);
      const words = [
        'init',
        place.source,
        '--vault-dir',
        vault(place),
        '--passfile',
        passfile(place),
      ];
      await run([process.execPath, cli, ...words], { env });
    },
    forget: (place) => {
      removeCopy(place);
      rmSync(path.join(vault(place), 'index'), { recursive: true, force: true });
    },
    push: async (place) => {
      const destination = `ssh://${sshd.user}@127.0.0.1:${sshd.port}${place.copy}`;
      const words = ['push', '-C', place.source, '--vault-dir', vault(place), '--json', '--delete'];
      const done = await run(
        [process.execPath, cli, ...words, '--passfile', passfile(place), destination],
        { env },
      );
      const summary = JSON.parse(done.stdout.trimEnd().split('\n').at(-1) ?? '') as Record<
        string,
        number
      >;
      return {
        ...done,
        sentBytes: summary['bytesSent'] ?? NaN,
        receivedBytes: summary['bytesReceived'] ?? NaN,
      };
    },
  };
}

function rsyncStats(stdout: string): { sentBytes: number; receivedBytes: number } {
  const figure = (label: string): number =>
    Number((new RegExp(`${label}: ([\\d,]+)`).exec(stdout)?.[1] ?? 'NaN').replaceAll(',', ''));
  return { sentBytes: figure('Total bytes sent'), receivedBytes: figure('Total bytes received') };
}

function rsyncWords(sshd: RunningSshd, source: string, copy: string): string[] {
  return [
    'rsync',
    '-a',
    '--delete',
    '--stats',
    '-e',
    `${sshd.rsh} -p ${sshd.port}`,
    `${source}/`,
    `${sshd.user}@127.0.0.1:${copy}/`,
  ];
}

/** The practical limit: the same tree by stock rsync, not encrypted. */
export function plainRsync(sshd: RunningSshd): Contender {
  return {
    name: 'plain rsync',
    prepare: () => Promise.resolve(),
    forget: removeCopy,
    push: async (place) => {
      const done = await run(rsyncWords(sshd, place.source, place.copy));
      return { ...done, ...rsyncStats(done.stdout) };
    },
  };
}

/** The pipeline ecsync replaces: a reverse mount, pushed by rsync, and unmounted. */
export function gocryptfsAndRsync(sshd: RunningSshd): Contender {
  const conf = (place: Place): string => path.join(place.state, 'reverse.conf');
  const mountpoint = (place: Place): string => path.join(place.state, 'view');
  return {
    name: 'gocryptfs + rsync',
    prepare: async (place) => {
      const passfile = writePassfile(place);
      mkdirSync(mountpoint(place), { recursive: true });
      if (existsSync(conf(place))) return;
      const words = [
        '-q',
        '-init',
        '-reverse',
        '-config',
        conf(place),
        '-passfile',
        passfile,
        place.source,
      ];
      await run(['gocryptfs', ...words]);
    },
    forget: removeCopy,
    push: async (place) => {
      const passfile = path.join(place.state, 'passfile');
      const view = mountpoint(place);
      const mount = [
        '-q',
        '-nosyslog',
        '-reverse',
        '-config',
        conf(place),
        '-passfile',
        passfile,
        place.source,
        view,
      ];
      const mounted = await run(['gocryptfs', ...mount], { silent: true });
      try {
        const sent = await run(rsyncWords(sshd, view, place.copy));
        const cpuMs = sent.cpuMs + cpuMsOf([view]);
        const unmounted = await run(['fusermount', '-u', view]);
        const wallMs = mounted.wallMs + sent.wallMs + unmounted.wallMs;
        return { wallMs, cpuMs, peakMiB: sent.peakMiB, ...rsyncStats(sent.stdout) };
      } catch (error) {
        execFileSync('fusermount', ['-u', '-z', view]);
        throw error;
      }
    },
  };
}
