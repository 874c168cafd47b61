/** The text of the manual page beside the commands: examples, files and the environment. */
import { PUSH_KEYS } from '../../options/push-options.ts';
import { variableOf } from '../../library/settings/push-config.ts';

/** A name and its description. */
export type ManualItem = readonly [name: string, text: string];

export const EXAMPLES: readonly ManualItem[] = [
  ['ecsync init ~/Documents', 'Makes the folder a vault, and prints the recovery sheet.'],
  [
    'ecsync -C ~/Documents remote add home me@server:backup/documents',
    'Says where its encrypted copy goes.',
  ],
  ['ecsync -C ~/Documents push --delete', 'Sends what changed, and deletes there what is gone.'],
  ['ecsync -C ~/Documents plan --delete', 'Shows what that would do.'],
  ['ecsync -C ~/Documents verify', 'Compares the copy with the folder; the server hashes.'],
  ['ecsync -C ~/Documents schedule install --every 1h', 'Pushes every hour from now on.'],
  ['ecsync -C ~/Documents restore notes.txt --to /tmp', 'Brings one file back.'],
  [
    'ecsync clone me@server:backup/documents ~/Documents',
    'Brings everything back on a new machine, and makes the folder a vault again.',
  ],
  [
    'rsync -a me@server:backup/documents/ cipher/ && mkdir plain && gocryptfs cipher plain',
    'The same without ecsync.',
  ],
];

export const FILES: readonly ManualItem[] = [
  ['.ecsync/config.toml', 'in the folder of a vault: its remotes and settings'],
  ['.ecsync/gocryptfs.conf', 'the key, wrapped by the password'],
  ['.ecsync/', 'also holds what is remembered of pushes, their history and the lock'],
  ['.ecsyncignore', 'rules of what is left out, with ignore_files = true'],
  ['~/.config/ecsync/config.toml', 'settings for all vaults; on Windows in %APPDATA%'],
  ['~/.local/state/ecsync/vaults.json', 'where vaults are, for status --all-vaults'],
  ['~/.ssh/config, ~/.ssh/known_hosts', 'as ssh(1) reads them'],
];

const VARIABLES: readonly ManualItem[] = [
  ['ECSYNC_DIR', 'the vault directory, as --vault-dir'],
  [
    'ECSYNC_PASSWORD_FILE, ECSYNC_PASSWORD_COMMAND, ECSYNC_PASSWORD',
    'where the password comes from, or the password itself',
  ],
  [
    'ECSYNC_DAEMON_PASSWORD_FILE, RSYNC_PASSWORD',
    'the password of an rsync daemon, from a file or itself',
  ],
  ['ECSYNC_LOG_FILE', 'as --log-file'],
  ['ECSYNC_CONSTANT_TIME', '1: no code whose time depends on keys'],
  ['ECSYNC_DISCOVERY_ACROSS_FILESYSTEM', '1: look for a vault above a mount point, too'],
  ['ECSYNC_DEBUG', 'not empty: show where an unexpected failure comes from'],
  ['XDG_CONFIG_HOME, XDG_STATE_HOME', 'in place of ~/.config and ~/.local/state'],
  ['SSH_AUTH_SOCK', 'the ssh agent'],
  ['NO_COLOR, CI, TERM=dumb', 'no line that shows the progress'],
];

/** All variables. Those of the settings of a push come last. */
export function environmentLines(): readonly ManualItem[] {
  const names = PUSH_KEYS.map(variableOf);
  return [...VARIABLES, [names.join(', '), 'as the option of push of that name']];
}
