import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { RunningSshd } from '../test/support/sshd.ts';
import type { Contender, Place } from './contenders.ts';
import { cpuMsOf, run, type Sample } from './measure.ts';

const PASSWORD = 'benchmark';

/** Where the copy is that all contenders restore: one for each source, pushed by ecsync. */
const copyOf = ({ source }: Place): string => `${source}-to-restore`;
const passfileOf = ({ source }: Place): string => `${source}-passfile`;

let asideCount = 0;

/** Puts what was restored aside: a mass deletion would slow the next round down. */
function putAside({ copy }: Place): void {
  if (existsSync(copy)) renameSync(copy, `${copy}-aside-${asideCount++}`);
}

/** Fetches and decrypts in one go. */
export function ecsyncRestore(cli: string, sshd: RunningSshd): Contender {
  const env = { ...process.env, HOME: sshd.home, CI: '1' };
  return {
    name: 'ecsync',
    prepare: async (place) => {
      const copy = copyOf(place);
      if (existsSync(copy)) return;
      const passfile = passfileOf(place);
      writeFileSync(passfile, `${PASSWORD}\n`, { mode: 0o600 });
      const vault = ['--vault-dir', `${place.source}-vault`, '--passfile', passfile];
      await run([process.execPath, cli, 'init', place.source, ...vault], { env });
      await run([process.execPath, cli, 'push', '-C', place.source, ...vault, copy], { env });
    },
    forget: putAside,
    push: async (place) => {
      const from = `ssh://${sshd.user}@127.0.0.1:${sshd.port}${copyOf(place)}`;
      const words = ['restore', '--from', from, '--to', place.copy, '--json'];
      const done = await run([process.execPath, cli, ...words, '--passfile', passfileOf(place)], {
        env,
      });
      const last = done.stdout.trimEnd().split('\n').at(-1) ?? '';
      const summary = JSON.parse(last) as Record<string, number>;
      const sentBytes = summary['bytesSent'] ?? NaN;
      return { ...done, sentBytes, receivedBytes: summary['bytesReceived'] ?? NaN };
    },
  };
}

/** What ecsync replaces: rsync fetches the copy, gocryptfs mounts it, cp takes the files out. */
export function rsyncAndGocryptfs(sshd: RunningSshd): Contender {
  return {
    name: 'rsync + gocryptfs',
    prepare: () => Promise.resolve(),
    forget: putAside,
    push: async (place) => {
      const [cipher, view, plain] = ['cipher', 'view', 'plain'].map((name) => {
        const folder = path.join(place.copy, name);
        mkdirSync(folder, { recursive: true });
        return folder;
      }) as [string, string, string];
      const pulled = await pull(sshd, copyOf(place), cipher);
      const words = ['-q', '-nosyslog', '-ro', '-passfile', passfileOf(place), cipher, view];
      const mounted = await run(['gocryptfs', ...words], { silent: true });
      try {
        const copied = await run(['cp', '-a', `${view}/.`, plain]);
        const cpuMs = pulled.cpuMs + copied.cpuMs + cpuMsOf([view]);
        const unmounted = await run(['fusermount', '-u', view]);
        const wallMs = pulled.wallMs + mounted.wallMs + copied.wallMs + unmounted.wallMs;
        return { ...pulled, wallMs, cpuMs };
      } catch (error) {
        execFileSync('fusermount', ['-u', '-z', view]);
        throw error;
      }
    },
  };
}

/** The practical limit: the source itself by stock rsync, not encrypted. */
export function plainRsyncPull(sshd: RunningSshd): Contender {
  return {
    name: 'plain rsync',
    prepare: () => Promise.resolve(),
    forget: putAside,
    push: (place) => pull(sshd, place.source, place.copy),
  };
}

async function pull(sshd: RunningSshd, from: string, to: string): Promise<Sample> {
  const rsh = `${sshd.rsh} -p ${sshd.port}`;
  const done = await run([
    ...['rsync', '-a', '--stats', '-e', rsh],
    `${sshd.user}@127.0.0.1:${from}/`,
    `${to}/`,
  ]);
  const figure = (label: string): number =>
    Number((new RegExp(`${label}: ([\\d,]+)`).exec(done.stdout)?.[1] ?? 'NaN').replaceAll(',', ''));
  const sentBytes = figure('Total bytes sent');
  return { ...done, sentBytes, receivedBytes: figure('Total bytes received') };
}
