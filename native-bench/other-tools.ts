import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { RunningSshd } from '../test/support/sshd.ts';
import { PASSWORD, removeCopy, writePassfile, type Contender, type Place } from './contenders.ts';
import { run } from './measure.ts';

/** Longer than this is not waited for. */
const LIMIT_MS = 120_000;

function isInstalled(program: string): boolean {
  return (process.env['PATH'] ?? '')
    .split(':')
    .some((folder) => existsSync(`${folder}/${program}`));
}

/** Removes the copy and what the tool remembers of it here. */
function forgetAll(place: Place): void {
  removeCopy(place);
  rmSync(path.join(place.state, 'cache'), { recursive: true, force: true });
}

/** A repository over SFTP, which restic reaches by running ssh. */
function restic(sshd: RunningSshd): Contender {
  const words = (place: Place, ...more: string[]): string[] => [
    'restic',
    '-q',
    ...['-r', `sftp:${sshd.user}@127.0.0.1:${place.copy}`],
    ...['-o', `sftp.command=${sshd.rsh} -p ${sshd.port} ${sshd.user}@127.0.0.1 -s sftp`],
    ...['--cache-dir', path.join(place.state, 'cache')],
    ...['--password-file', writePassfile(place)],
    ...more,
  ];
  return {
    name: 'restic',
    prepare: () => Promise.resolve(),
    forget: forgetAll,
    before: async (place) => {
      if (!existsSync(place.copy)) await run(words(place, 'init'));
    },
    push: (place) => run(words(place, 'backup', place.source), { limitMs: LIMIT_MS }),
  };
}

/** A repository at a `borg serve` on the other side. */
function borg(sshd: RunningSshd): Contender {
  const env = (place: Place): NodeJS.ProcessEnv => ({
    ...process.env,
    BORG_RSH: `${sshd.rsh} -p ${sshd.port}`,
    BORG_PASSPHRASE: PASSWORD,
    BORG_BASE_DIR: path.join(place.state, 'cache'),
    BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes',
  });
  const repository = (place: Place): string => `${sshd.user}@127.0.0.1:${place.copy}`;
  return {
    name: 'borg',
    prepare: () => Promise.resolve(),
    forget: forgetAll,
    before: async (place) => {
      mkdirSync(path.join(place.state, 'cache'), { recursive: true });
      if (existsSync(place.copy)) return;
      await run(['borg', 'init', '--encryption=repokey-blake2', repository(place)], {
        env: env(place),
      });
    },
    push: (place) => {
      const archive = `${repository(place)}::${Date.now()}`;
      return run(['borg', 'create', archive, place.source], {
        env: env(place),
        limitMs: LIMIT_MS,
      });
    },
  };
}

/** `crypt` over `sftp`; rclone has an ssh client of its own. */
function rcloneCrypt(sshd: RunningSshd): Contender {
  const config = (place: Place): string => path.join(place.state, 'rclone.conf');
  return {
    name: 'rclone crypt',
    prepare: (place) => {
      mkdirSync(place.state, { recursive: true });
      const password = execFileSync('rclone', ['obscure', PASSWORD]).toString().trim();
      const lines = [
        '[server]',
        'type = sftp',
        'host = 127.0.0.1',
        `port = ${sshd.port}`,
        `user = ${sshd.user}`,
        `key_file = ${sshd.keyFile}`,
        `known_hosts_file = ${sshd.knownHostsFile}`,
        '[crypt]',
        'type = crypt',
        `remote = server:${place.copy}`,
        `password = ${password}`,
      ];
      writeFileSync(config(place), `${lines.join('\n')}\n`, { mode: 0o600 });
      return Promise.resolve();
    },
    forget: removeCopy,
    push: (place) =>
      run(['rclone', '--config', config(place), 'sync', place.source, 'crypt:'], {
        limitMs: LIMIT_MS,
      }),
  };
}

/** What else people use, as far as it is installed. */
export function otherTools(sshd: RunningSshd): readonly Contender[] {
  return [
    ...(isInstalled('restic') ? [restic(sshd)] : []),
    ...(isInstalled('borg') ? [borg(sshd)] : []),
    ...(isInstalled('rclone') ? [rcloneCrypt(sshd)] : []),
  ];
}
