/** What examples of the documents need to be run, and why some cannot be run here. */
import type { Answer } from '../../cli/support/cli.ts';
import type { Fence } from './documents.ts';
import { commandsIn } from './shell-words.ts';

/** How an example is run, where that is not as it stands, in a vault that was pushed, to exit code 0. */
export interface Example {
  /** Lines of bash that run before it. */
  readonly before?: string;
  /** It is run on a terminal, and these are typed. */
  readonly answers?: (masterkey: string) => readonly Answer[];
  readonly code?: number;
}

/** The document, the heading and the first line that is no comment: by this an example is named. */
export function nameOf({ document, heading, text }: Fence): string {
  const lines = text.split('\n').map((line) => line.replace(/(?:^|\s+)#.*$/, '').trim());
  return `${document} > ${heading} > ${lines.find((line) => line !== '') ?? ''}`;
}

const NEW_PASSWORD: readonly Answer[] = [
  { after: 'New password', type: 'another one\r' },
  { after: 'The same again', type: 'another one\r' },
];

const WITHOUT_REMOTE = 'ecsync remote remove home';
const WITH_KEY = `ecsync remote add srv me@server:backup/documents`;

export const EXAMPLES: ReadonlyMap<string, Example> = new Map<string, Example>([
  ['README.md > Quick start > cd ~/Documents', { before: 'rm -r .ecsync "$SERVER/backup"' }],
  [
    'docs/destinations.md > Destinations > ecsync remote add home me@server:backup/documents',
    { before: WITHOUT_REMOTE },
  ],
  ['docs/ssh.md > ssh > ssh-copy-id me@server', { before: WITHOUT_REMOTE }],
  [
    'docs/ssh.md > Your own server, with a key for this copy alone > ecsync remote set-url srv ssh://me@server/./.',
    { before: WITH_KEY },
  ],
  ['docs/keys.md > Passwords and recovery > ecsync key paper', { answers: () => NEW_PASSWORD }],
  [
    'docs/keys.md > Passwords and recovery > ecsync key passwd --masterkey=stdin',
    { answers: (key) => [{ after: 'Master key', type: `${key}\r` }, ...NEW_PASSWORD] },
  ],
  [
    'docs/layouts.md > Going on with gocryptfs -reverse > reverse_time_shift_sec = 0',
    {
      before:
        'cd ~/Archive; ecsync init --layout reverse; sed -i /^reverse_time/d .ecsync/config.toml',
    },
  ],
  [
    'docs/monitoring.md > Completion and the manual page > ecsync completion bash > ~/.local/share/bash-completion/completions/ecsync',
    { before: 'mkdir -p ~/.local/share/bash-completion/completions' },
  ],
]);

const OTHER_SYSTEM = 'this file system or operating system is not here';
const NO_JOURNAL = 'no journal of systemd is here';
const NOT_OURS = 'the server belongs to somebody else';

/** Examples that cannot be run by a test, and why. Their commands and options are checked all the same. */
export const NOT_RUN: ReadonlyMap<string, string> = new Map([
  ['README.md > Two commands > npm run demo', 'would run all tests within a test'],
  ['CONTRIBUTING.md > Contributing > npm test', 'would run all tests within a test'],
  [
    'README.md > Install > npm ci && npm run build && npm install --global .',
    'installs on this machine',
  ],
  ...[
    'btrfs > frozen=$ECSYNC_SOURCE.frozen',
    'btrfs > if [ -n "$ECSYNC_FROZEN_SOURCE" ]; then btrfs subvolume delete "$ECSYNC_FROZEN_SOURCE" >&2; fi',
    'LVM > umount /run/frozen 2>/dev/null || true',
    'LVM > umount /run/frozen && lvremove -fq vg/frozen >&2',
    'ZFS > zfs destroy tank/home@ecsync 2>/dev/null || true',
    'ZFS > zfs destroy tank/home@ecsync',
    'APFS (macOS) > folder=$HOME/.ecsync-frozen',
    'APFS (macOS) > umount "$HOME/.ecsync-frozen/state"',
  ].map((name) => [`docs/frozen-source.md > ${name}`, OTHER_SYSTEM] as const),
  ["docs/monitoring.md > The system's log > journalctl --user -u 'ecsync-*'", NO_JOURNAL],
  ["docs/monitoring.md > The system's log > systemd-cat -t ecsync ecsync push", NO_JOURNAL],
  ['docs/performance.md > Performance > npm run bench', 'runs for an hour'],
  [
    'docs/reliability.md > What has been tried, and what was found > npm run campaign -- --minutes 10',
    'runs for minutes',
  ],
  [
    'docs/promises.md > What ecsync promises, and the tests that check it > npx vitest run test/e2e/kill.test.ts',
    'would run a test within a test',
  ],
  [
    'docs/schedule.md > Pushing regularly > ecsync schedule test',
    'needs a scheduler at work; test/cli/schedule has them',
  ],
  ['docs/ssh.md > Providers > ssh-copy-id -p 23 -s u123456@u123456.your-storagebox.de', NOT_OURS],
]);

/** Languages whose fences hold no commands of a shell, and what is known of them all the same. */
export const LANGUAGES_NOT_RUN: ReadonlyMap<string, string> = new Map([
  ['text', 'output, drawings, and lines for files of other programs; commands in it are parsed'],
  ['ini', 'the configuration of an rsync daemon'],
  ['powershell', 'for Windows; commands in it are parsed'],
  ['js', 'programs that use the library; their own tests run them'],
  ['ts', 'programs that use the library; their own tests run them'],
]);

/** Programs that an example may start in the place of the tests. What starts others is not run. */
const HARMLESS: ReadonlySet<string> = new Set([
  ...['cd', 'cp', 'echo', 'install', 'less', 'logger', 'man', 'mkdir', 'rm', 'set', 'touch'],
  ...['ecsync', 'gocryptfs', 'rsync', 'ssh-copy-id', 'ssh-keygen'],
]);

/** Programs in an example that nobody has allowed; variables that it sets are none. */
export function strangePrograms({ text }: Fence): readonly string[] {
  return commandsIn(text)
    .map((words) => words[0] ?? '')
    .filter((word) => !/^\w+=/.test(word) && !HARMLESS.has(word));
}
