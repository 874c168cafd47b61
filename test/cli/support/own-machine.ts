import { execFile } from 'node:child_process';

/** How a script ended and what it printed. */
export interface ScriptResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder of its own over this one, gone with the script. */
const COVER = 'cover() { mount -t tmpfs -o mode=755 tmpfs "$1"; }';

/**
 * A systemd user manager that answers `systemctl --user`, on a machine that booted without systemd:
 * it wants `/run/systemd/system` to exist, a runtime folder, and a control group to work in.
 */
const USER_SYSTEMD = `
# Credentials are mounted by a child, in name spaces below these.
mount --make-rshared /
cover /run/systemd && mkdir -p /run/systemd/system
mount -t cgroup2 none /sys/fs/cgroup
group=/sys/fs/cgroup/ecsync-test-$$-$RANDOM
mkdir "$group" && echo $$ > "$group/cgroup.procs"
export XDG_RUNTIME_DIR="$HOME/run"
mkdir -m 700 "$XDG_RUNTIME_DIR"
/lib/systemd/systemd --user --log-target=console </dev/null >"$HOME/systemd.log" 2>&1 &
manager=$!
finish() {
  kill -s RTMIN+24 $manager; wait $manager
  echo $$ > /sys/fs/cgroup/cgroup.procs
  find "$group" -depth -type d -exec rmdir {} +
}
trap finish EXIT
for i in $(seq 100); do systemctl --user is-system-running >/dev/null 2>&1 && break; sleep 0.1; done
`;

/** No crontabs but those that the script installs; `cron -f &` then starts a daemon for them. */
const CRON = `
cover /var/spool/cron && mkdir -m 1730 /var/spool/cron/crontabs && chgrp crontab /var/spool/cron/crontabs
cover /run
`;

/**
 * Runs a shell script in name spaces of its own: what it mounts and starts is gone when it ends.
 *
 * @param scheduler - what runs there
 */
export function inOwnMachine(
  scheduler: 'systemd' | 'cron' | 'none',
  script: string,
  env: Readonly<Record<string, string>>,
): Promise<ScriptResult> {
  const start = { systemd: USER_SYSTEMD, cron: CRON, none: '' }[scheduler];
  const words = ['-m', '-p', '-f', '--kill-child', '--mount-proc', 'bash', '-c'];
  return new Promise((resolve) => {
    execFile(
      'unshare',
      [...words, `set -u\n${COVER}\n${start}\n${script}`],
      {
        env: { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8', TZ: 'UTC', ...env },
        encoding: 'utf8',
      },
      (error, stdout, stderr) =>
        resolve({
          code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1,
          stdout,
          stderr,
        }),
    );
  });
}
