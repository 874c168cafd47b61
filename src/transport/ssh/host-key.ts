/** Decides whether a server's host key is accepted. */
import { randomBytes } from 'node:crypto';
import { mkdir, open } from 'node:fs/promises';
import path from 'node:path';
import type { ServerHostKeyAlgorithm } from 'ssh2';
import { LoginError } from '../../errors.ts';
import {
  fingerprint,
  judgeHostKey,
  knownHostLine,
  knownHostName,
  knownKeyTypes,
  namesCertAuthority,
  publicKeyType,
  readKnownHosts,
  type HostKeyVerdict,
  type KnownHost,
} from './known-hosts.ts';
import type { SshHostConfig } from './config/config.ts';
import { withAlias } from '../ssh-target.ts';
import type { SshOptions } from './options.ts';

/** How an unknown host is handled. */
interface HostKeyOptions {
  /** Record it without a question. */
  readonly acceptNew: boolean;
  readonly onNotice: (text: string) => void;
  /** Absent if nobody can be asked. */
  readonly ask?: NonNullable<SshOptions['askHostKey']>;
}

/** Verifies the host key of one server. */
export class HostKeyCheck {
  readonly #config: SshHostConfig;
  readonly #entries: readonly KnownHost[];
  readonly #acceptNew: boolean;
  readonly #onNotice: (text: string) => void;
  readonly #ask: HostKeyOptions['ask'];
  /** The key accepted at login; a later key exchange must present the same key. */
  #accepted: Buffer | undefined;

  private constructor(
    config: SshHostConfig,
    entries: readonly KnownHost[],
    options: HostKeyOptions,
  ) {
    this.#config = config;
    this.#entries = entries;
    this.#acceptNew = options.acceptNew;
    this.#onNotice = options.onNotice;
    this.#ask = options.ask;
  }

  /** @throws {LoginError} `known-hosts-unreadable` */
  static async load(config: SshHostConfig, options: HostKeyOptions): Promise<HostKeyCheck> {
    const files = [...config.userKnownHostsFiles, ...config.globalKnownHostsFiles];
    return new HostKeyCheck(config, await readKnownHosts(files), options);
  }

  /**
   * The algorithms to offer. Those of keys known for this host come first, since otherwise it could
   * present another key. An explicit order of HostKeyAlgorithms is kept.
   *
   * @see OpenSSH sshconnect2.c order_hostkeyalgs() (9.2)
   */
  algorithms(): ServerHostKeyAlgorithm[] {
    const { algorithms, hostKeyOrderGiven } = this.#config;
    const known = this.#knownTypes();
    const rank = (name: string): number =>
      !hostKeyOrderGiven && known.has(name.startsWith('rsa-') ? 'ssh-rsa' : name) ? 0 : 1;
    return [...algorithms.serverHostKey].sort((a, b) => rank(a) - rank(b));
  }

  /** Whether the files have a key or a certificate authority for this host. */
  get knownBy(): { readonly key: boolean; readonly certAuthority: boolean } {
    const certAuthority = namesCertAuthority(this.#entries, this.#name);
    return { key: this.#knownTypes().size > 0, certAuthority };
  }

  #knownTypes(): Set<string> {
    const known = knownKeyTypes(this.#entries, this.#name);
    if (known.size > 0 || this.#portlessName === undefined) return known;
    return knownKeyTypes(this.#entries, this.#portlessName);
  }

  /** True for the key accepted at login, which later key exchanges present again. */
  isAccepted(key: Buffer): boolean {
    return this.#accepted?.equals(key) === true;
  }

  /**
   * Accepts or refuses the key that a server presents, and records an accepted new key.
   *
   * @param key - public key in wire format
   * @throws {LoginError} `host-key-unknown`, `host-key-changed`, `host-key-revoked`,
   *   `known-hosts-unwritable`
   */
  async verify(key: Buffer): Promise<void> {
    if (this.isAccepted(key)) return;
    const { strictHostKeyChecking } = this.#config;
    const verdict = this.#judge(key);
    switch (verdict.kind) {
      case 'known':
        break;
      case 'changed':
        throw this.#changed(key, verdict.known);
      case 'revoked':
        throw new LoginError(
          'host-key-revoked',
          `${this.#shownName}: the server presents a revoked key (${fingerprint(key)}, ${verdict.known.file} line ${verdict.known.line})`,
          { hint: 'Do not connect. Ask the server’s operator for its new key.' },
        );
      case 'unknown':
        if (
          strictHostKeyChecking === 'yes' ||
          this.#accepted !== undefined ||
          !(await this.#shouldTrust(key, verdict.certAuthority))
        ) {
          throw this.#unknown(key, verdict.certAuthority);
        }
        await this.#record(key);
    }
    this.#accepted = key;
  }

  /** Whether to trust an unknown key from now on. */
  async #shouldTrust(key: Buffer, certAuthority: KnownHost | undefined): Promise<boolean> {
    if (this.#acceptNew || this.#config.strictHostKeyChecking === 'accept-new') return true;
    if (this.#ask === undefined || certAuthority !== undefined) return false;
    const [name, keyType] = [this.#shownName, shownType(key)];
    return this.#ask({ name, keyType, fingerprint: fingerprint(key) });
  }

  get #name(): string {
    const { hostKeyAlias, hostName, port } = this.#config;
    return hostKeyAlias?.toLowerCase() ?? knownHostName(hostName, port);
  }

  /** The name for messages. */
  get #shownName(): string {
    return withAlias(this.#config.alias, this.#name);
  }

  /** ssh also accepts a key known for the bare name if it knows none for this port. */
  get #portlessName(): string | undefined {
    const { hostKeyAlias, hostName, port } = this.#config;
    return hostKeyAlias !== undefined || port === 22 ? undefined : hostName.toLowerCase();
  }

  #judge(key: Buffer): HostKeyVerdict {
    const verdict = judgeHostKey(this.#entries, this.#name, key);
    if (verdict.kind !== 'unknown' || this.#portlessName === undefined) return verdict;
    const portless = judgeHostKey(this.#entries, this.#portlessName, key);
    return portless.kind === 'changed' ? verdict : portless;
  }

  #unknown(key: Buffer, certAuthority: KnownHost | undefined): LoginError {
    const { alias, hostName, port, strictHostKeyChecking } = this.#config;
    const facts = { host: this.#name, fingerprint: fingerprint(key), keyType: shownType(key) };
    const shown = `${facts.keyType} ${facts.fingerprint}`;
    if (certAuthority !== undefined) {
      return new LoginError(
        'host-key-unknown',
        `${this.#shownName}: the host key is certified by an authority (${certAuthority.file} line ${certAuthority.line}), which the built-in ssh cannot check`,
        { hint: 'Use the system’s ssh: add `--rsh ssh`.', facts },
      );
    }
    const compare =
      'Compare the fingerprint with the one that the server’s operator publishes; if it is the same,';
    const words = alias ?? (port === 22 ? hostName : `-p ${port} ${hostName}`);
    const remedy =
      this.#acceptNew && strictHostKeyChecking === 'yes'
        ? 'add the key to known_hosts (the ssh configuration has `StrictHostKeyChecking yes`).'
        : `run again with \`--accept-new-host-key\`, or run \`ssh ${words}\` once.`;
    return new LoginError(
      'host-key-unknown',
      `${this.#shownName}: the server’s host key is not known: ${shown}`,
      { hint: `${compare} ${remedy}`, facts },
    );
  }

  #changed(key: Buffer, known: KnownHost): LoginError {
    return new LoginError(
      'host-key-changed',
      `${this.#shownName}: the server’s host key has changed: it presents ${shownType(key)} ${fingerprint(key)}, but the known key is ${shownType(known.key)} ${fingerprint(known.key)} (${known.file} line ${known.line})`,
      {
        hint: `Somebody may be intercepting the connection. Ask the server’s operator; only if the new key is right, remove line ${known.line} of ${known.file}.`,
        facts: {
          host: this.#name,
          fingerprint: fingerprint(key),
          knownFingerprint: fingerprint(known.key),
          file: known.file,
          line: known.line,
        },
      },
    );
  }

  async #record(key: Buffer): Promise<void> {
    const [file] = this.#config.userKnownHostsFiles;
    if (file === undefined) {
      throw new LoginError(
        'known-hosts-unnamed',
        `${this.#shownName}: the new host key cannot be recorded, because the ssh configuration names no file for it`,
        { hint: 'Name one with UserKnownHostsFile in ~/.ssh/config.' },
      );
    }
    const salt = this.#config.hashKnownHosts ? randomBytes(20) : undefined;
    try {
      await appendLine(file, knownHostLine(this.#name, key, salt));
    } catch (error) {
      throw new LoginError(
        'known-hosts-unwritable',
        `${file}: the new host key of ${this.#shownName} cannot be recorded`,
        { hint: 'Make the file writable, or add the key by hand.', cause: error },
      );
    }
    this.#onNotice(
      `${this.#shownName}: recorded the new host key ${shownType(key)} ${fingerprint(key)} in ${file}`,
    );
  }
}

function shownType(key: Buffer): string {
  return publicKeyType(key) ?? 'key';
}

/** Writes once in append mode, so that two concurrent runs leave two whole lines. */
async function appendLine(file: string, line: string): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  const handle = await open(file, 'a+', 0o600);
  try {
    const { size } = await handle.stat();
    const last = Buffer.alloc(1);
    if (size > 0) await handle.read(last, 0, 1, size - 1);
    const separator = size > 0 && last[0] !== 0x0a ? '\n' : '';
    await handle.write(separator + line);
    await handle.sync().catch(() => undefined); // a pipe or /dev/null cannot be synced
  } finally {
    await handle.close();
  }
}
