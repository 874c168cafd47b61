/** The commands of each platform's keychain programs. No secret is ever among the words. */
import { WINDOWS_KEYCHAIN_SCRIPT } from './keychain-windows.ts';

/** Identifies a password in the keychain. */
export interface KeychainItem {
  /** Distinguishes the vaults of one user; letters, digits and `-` only. */
  readonly account: string;
  /** The name in the keychain's own window. */
  readonly label: string;
}

/** How to call a program of the system. */
export interface KeychainCommand {
  readonly program: string;
  readonly words: readonly string[];
  /** Bytes for its standard input; overwritten after use. */
  readonly input?: Buffer;
  /** Exit statuses that mean that there is no such item. */
  readonly absentStatuses: readonly number[];
  /** What to do when the program is missing. */
  readonly remedy: string;
}

/** The three operations on an item. */
export interface KeychainCommands {
  /** Prints the stored text. */
  read(item: KeychainItem): KeychainCommand;
  /** Replaces an existing item. */
  write(item: KeychainItem, text: Buffer): KeychainCommand;
  remove(item: KeychainItem): KeychainCommand;
}

const SERVICE = 'ecsync';

/** Secret Service (GNOME Keyring, KWallet, KeePassXC) through libsecret's own program. */
const SECRET_SERVICE: KeychainCommands = {
  read: (item) => secretTool(['lookup', ...attributesOf(item)]),
  write: (item, text) => ({
    ...secretTool(['store', `--label=${item.label}`, ...attributesOf(item)]),
    absentStatuses: [],
    input: text,
  }),
  remove: (item) => secretTool(['clear', ...attributesOf(item)]),
};

function attributesOf({ account }: KeychainItem): readonly string[] {
  return ['service', SERVICE, 'account', account];
}

function secretTool(words: readonly string[]): KeychainCommand {
  return {
    program: 'secret-tool',
    words,
    absentStatuses: [1],
    remedy: 'Install it (package libsecret-tools or libsecret).',
  };
}

/** The login keychain of macOS; commands with a secret are read from standard input (`-i`). */
const MACOS: KeychainCommands = {
  read: ({ account }) => security(['find-generic-password', '-s', SERVICE, '-a', account, '-w']),
  write: ({ account, label }, text) => {
    const line = `add-generic-password -U -s ${SERVICE} -a ${account} -l "${quotable(label)}" -w `;
    const input = Buffer.concat([Buffer.from(line), text, Buffer.from('\n')]);
    text.fill(0);
    return { ...security(['-i']), absentStatuses: [], input };
  },
  remove: ({ account }) => security(['delete-generic-password', '-s', SERVICE, '-a', account]),
};

/** errSecItemNotFound, -25300, reduced to an exit status. */
const MACOS_NOT_FOUND = 44;

function security(words: readonly string[]): KeychainCommand {
  return {
    program: '/usr/bin/security',
    words,
    absentStatuses: [MACOS_NOT_FOUND],
    remedy: 'It is a part of macOS.',
  };
}

/**
 * Makes a label safe for `security -i`, which splits lines at blanks and interprets quotes and
 * backslashes.
 */
function quotable(label: string): string {
  return label.replace(/[^A-Za-z0-9 ._/:~-]/g, '?').slice(0, 500);
}

/** Credential Manager of Windows, for this machine and user only. */
const WINDOWS: KeychainCommands = {
  read: (item) => powershell('read', item, Buffer.alloc(0)),
  write: (item, text) => ({ ...powershell('write', item, text), absentStatuses: [] }),
  remove: (item) => powershell('remove', item, Buffer.alloc(0)),
};

/** The script's exit status when there is no such credential. */
const WINDOWS_NOT_FOUND = 44;

/** The script is an argument; its input is the verb, the name of the credential, and the secret. */
function powershell(verb: string, { account, label }: KeychainItem, text: Buffer): KeychainCommand {
  const shown = Buffer.from(label).toString('base64');
  const request = Buffer.from(`${verb}\n${SERVICE}:${account}\n${shown}\n`);
  const input = Buffer.concat([request, text, Buffer.from('\n')]);
  text.fill(0);
  const script = Buffer.from(WINDOWS_KEYCHAIN_SCRIPT, 'utf16le').toString('base64');
  return {
    program: 'powershell.exe',
    words: [
      ...['-NoLogo', '-NoProfile', '-NonInteractive', '-OutputFormat', 'Text'],
      ...['-EncodedCommand', script],
    ],
    input,
    absentStatuses: [WINDOWS_NOT_FOUND],
    remedy: 'It is a part of Windows; is SystemRoot set correctly?',
  };
}

/** The keychain of a platform. */
export function keychainCommands(platform: NodeJS.Platform): KeychainCommands {
  if (platform === 'darwin') return MACOS;
  return platform === 'win32' ? WINDOWS : SECRET_SERVICE;
}
