/**
 * A scratch home folder, server and NAS in which the examples of the documents run as a reader would run
 * them. Every example finds the same place. What they must not touch for real is the reader's crontab: it is
 * a file there.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { inject } from 'vitest';
import { onTerminal, type Answer } from '../../cli/support/cli.ts';
import { ecsync } from '../../e2e/support/cli.ts';
import { startDaemon, WITH_LOGIN, type RunningDaemon } from '../../support/rsync-daemon.ts';
import { startSshd, type RunningSshd } from '../../support/sshd.ts';

const run = promisify(execFile);

/** How an example ended. */
export interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** What an example is given beside its text. */
export interface Given {
  /** Lines of bash that run before it. */
  readonly before?: string | undefined;
  /** It runs on a terminal, and these are typed. */
  readonly answers?: readonly Answer[] | undefined;
}

const PASSWORD = 'correct horse battery staple';

export class Place {
  readonly #dir: string;
  readonly #sshd: RunningSshd;
  readonly #daemon: RunningDaemon;
  readonly #commands: Server;
  #masterkey = '';

  private constructor(dir: string, sshd: RunningSshd, daemon: RunningDaemon) {
    this.#dir = dir;
    this.#sshd = sshd;
    this.#daemon = daemon;
    this.#commands = createServer((socket) => void answer(socket)).listen(0, '127.0.0.1');
  }

  static async make(): Promise<Place> {
    const dir = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'ecsync-docs-')));
    for (const folder of ['bin', 'state/home', 'state/server', 'state/mnt', 'state/var']) {
      fs.mkdirSync(path.join(dir, folder), { recursive: true });
    }
    writePrograms(dir);
    const sshd = await startSshd({
      forcedCommand: path.join(dir, 'bin/session'),
      configLines: ['Subsystem sftp /usr/lib/openssh/sftp-server'],
    });
    const place = new Place(dir, sshd, await startDaemon({ backup: WITH_LOGIN }));
    await once(place.#commands, 'listening');
    await place.#fill();
    return place;
  }

  async remove(): Promise<void> {
    this.#commands.close();
    await this.#sshd.stop();
    await this.#daemon.stop();
    await this.#unmount();
    fs.rmSync(this.#dir, { recursive: true, force: true });
  }

  /** The master key of the vault in `~/Documents`. */
  get masterkey(): string {
    return this.#masterkey;
  }

  /** Runs an example in `~/Documents`, in a place as if nothing had been run before. */
  async run(text: string, given: Given = {}): Promise<Ended> {
    await this.#reset();
    const [before, lines] = [given.before ?? '', text].map((one) => this.#mapped(one));
    if (before !== '') await this.#mustRun(before ?? '');
    return this.#bash(lines ?? '', given);
  }

  /** Names of machines and folders that stand in the documents become those of this place. */
  #mapped(text: string): string {
    const state = path.join(this.#dir, 'state');
    return text
      .replaceAll('me@nas/', `joe@127.0.0.1:${this.#daemon.port}/`)
      .replaceAll('me@server', `${this.#sshd.user}@server`)
      .replaceAll(/(?<![\w~/])\/mnt\b/g, `${state}/mnt`)
      .replaceAll(/(?<![\w~/])\/var\/lib\b/g, `${state}/var`);
  }

  async #fill(): Promise<void> {
    const home = path.join(this.#dir, 'state/home');
    fs.cpSync(path.join(this.#sshd.home, '.ssh'), path.join(home, '.ssh'), { recursive: true });
    const sshConfig = [
      ...['Host server', 'HostName 127.0.0.1', `Port ${this.#sshd.port}`],
      ...[`IdentityFile ${home}/.ssh/id_ed25519`, `UserKnownHostsFile ${home}/.ssh/known_hosts`],
    ];
    fs.writeFileSync(path.join(home, '.ssh/config'), `${sshConfig.join('\n')}\n`, { mode: 0o600 });
    await this.#mustRun(CONTENT);
    await this.#mustRun(VAULT);
    const { output } = await this.#bash('ecsync key masterkey', {});
    this.#masterkey = output.trim();
    fs.renameSync(path.join(this.#dir, 'state'), path.join(this.#dir, 'template'));
  }

  async #reset(): Promise<void> {
    await this.#unmount();
    await this.#mustRunAnywhere('rm -rf state && cp -a template state');
  }

  /** What an example has mounted. */
  async #unmount(): Promise<void> {
    const mounts = fs.readFileSync('/proc/self/mounts', 'utf8').split('\n');
    for (const line of mounts) {
      const folder = line.split(' ')[1] ?? '';
      if (folder.startsWith(`${this.#dir}/`)) await run('fusermount', ['-u', '-z', folder]);
    }
  }

  async #mustRun(text: string): Promise<void> {
    const { code, output } = await this.#bash(this.#mapped(text), {});
    if (code !== 0) throw new Error(`the place could not be prepared (${code}):\n${output}`);
  }

  async #mustRunAnywhere(text: string): Promise<void> {
    await run('bash', ['-ec', text], { cwd: this.#dir });
  }

  async #bash(text: string, { answers }: Given): Promise<Ended> {
    const home = path.join(this.#dir, 'state/home');
    const file = path.join(this.#dir, 'example');
    fs.writeFileSync(file, text);
    const documents = path.join(home, 'Documents');
    const options = { cwd: fs.existsSync(documents) ? documents : home, env: this.#environment() };
    if (answers !== undefined) {
      const { code, stdout } = await onTerminal(`bash -e '${file}'`, answers, options);
      return { code, output: stdout };
    }
    const child = spawn('bash', ['-e', file], {
      ...options,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => output.push(chunk));
    }
    // A mount that it has left behind keeps the streams open.
    const [code] = (await once(child, 'exit')) as [number | null];
    return { code, output: Buffer.concat(output).toString() };
  }

  #environment(): Record<string, string> {
    const state = path.join(this.#dir, 'state');
    const address = this.#commands.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    return {
      PATH: `${this.#dir}/bin:${process.env['PATH'] ?? ''}`,
      HOME: `${state}/home`,
      SERVER: `${state}/server`,
      LC_ALL: 'C.UTF-8',
      TERM: 'xterm',
      ECSYNC_PASSWORD_FILE: `${state}/home/.ecsync-password`,
      ECSYNC_SOURCE: `${state}/home/Documents`,
      DOCS_PORT: `${port}`,
      DOCS_PROGRAM: `'${process.execPath}' '${inject('cliPath')}'`,
    };
  }
}

/** Runs one command in a warm program: its folder, environment and words lie in a folder that is named. */
async function answer(socket: Socket): Promise<void> {
  const [line] = (await once(socket, 'data')) as [Buffer];
  const call = line.toString().trim();
  const [cwd = '/', ...words] = partsOf(path.join(call, 'words'));
  const env = Object.fromEntries(
    partsOf(path.join(call, 'env')).map((one) => {
      const at = one.indexOf('=');
      return [one.slice(0, at), one.slice(at + 1)] as const;
    }),
  );
  const { code, stdout, stderr } = await ecsync(words, { cwd, env });
  fs.writeFileSync(path.join(call, 'stdout'), Buffer.from(stdout, 'latin1'));
  fs.writeFileSync(path.join(call, 'stderr'), stderr);
  socket.end(`${code ?? 1}\n`);
}

function partsOf(file: string): readonly string[] {
  return fs.readFileSync(file, 'utf8').split('\0').slice(0, -1);
}

/** What stands before the programs of the system in an example's PATH. */
function writePrograms(dir: string): void {
  const programs: Readonly<Record<string, string>> = {
    // At a terminal, and where it reads a pipe, it is a process of its own.
    ecsync: `#!/bin/bash
if [ -t 0 ] || [ -p /dev/stdin ]; then eval exec "$DOCS_PROGRAM" '"$@"'; fi
call=$(mktemp -d)
printf '%s\\0' "$PWD" "$@" >"$call/words"
env -0 >"$call/env"
exec 3<>"/dev/tcp/127.0.0.1/$DOCS_PORT"
echo "$call" >&3
read -r code <&3
cat "$call/stdout"
cat "$call/stderr" >&2
rm -r "$call"
exit "$code"
`,
    // OpenSSH goes by the account's home folder, not by HOME.
    ssh: '#!/bin/sh\nexec /usr/bin/ssh -F "$HOME/.ssh/config" "$@"\n',
    // It would ask for the password.
    gocryptfs:
      '#!/bin/sh\nexec /usr/bin/gocryptfs -nosyslog -passfile "$ECSYNC_PASSWORD_FILE" "$@"\n',
    crontab: `#!/bin/sh
case $1 in
  -l) cat "$HOME/.crontab" 2>/dev/null || { echo 'no crontab' >&2; exit 1; } ;;
  -r) rm "$HOME/.crontab" ;;
  *) cat >"$HOME/.crontab" ;;
esac
`,
    // What sshd starts: sessions begin in the home folder of the server.
    session: `#!/bin/sh
cd ${dir}/state/server && HOME=$PWD exec sh -c "$SSH_ORIGINAL_COMMAND"
`,
  };
  for (const [name, text] of Object.entries(programs)) {
    fs.writeFileSync(path.join(dir, 'bin', name), text, { mode: 0o755 });
  }
}

/** Folders, and what examples name in them. */
const CONTENT = `
mkdir -p Documents/photos Old Archive "$SERVER/backup"
echo '${PASSWORD}' >.ecsync-password
echo 'open sesame' >.nas-password
chmod 600 .ecsync-password .nas-password
cd Documents
echo notes >notes.txt
echo picture >photos/a.jpg
echo report >report.pdf
echo odd >$'caf\\351.txt'
echo old >../Old/notes.txt
echo archive >../Archive/notes.txt
touch -d '2026-01-01' notes.txt photos/a.jpg report.pdf caf* ../Old/notes.txt ../Archive/notes.txt
# A copy that stock gocryptfs has made of ~/Old, and a folder that -reverse was used for.
mkdir "$SERVER/backup/old" ../view
gocryptfs -init -q -scryptn 10 "$SERVER/backup/old"
gocryptfs -q "$SERVER/backup/old" ../view >/dev/null 2>&1
cp -a ../Old/. ../view
fusermount -u ../view
rmdir ../view
gocryptfs -init -reverse -q -scryptn 10 ../Archive
`;

/** The vault in ~/Documents, with a remote to which it was pushed. */
const VAULT = `
ecsync init --scryptn 10
ecsync remote add home me@server:backup/documents
ecsync push
`;
