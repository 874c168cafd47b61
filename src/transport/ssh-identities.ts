import { readFile } from 'node:fs/promises';
import ssh2, { BaseAgent, createAgent, type ParsedKey } from 'ssh2';
import { LoginError } from '../errors.ts';
import type { SshHostConfig } from './ssh-config.ts';

const { utils } = ssh2;

/** Private keys are a few KiB; anything larger is some other file. */
const KEY_FILE_BYTES_MAX = 262_144;

const AGENT_TIMEOUT_MS = 5000;
const PASSPHRASE_ATTEMPTS = 3;

/** A key that can be offered, and something that can sign with it. */
interface Identity {
  /** Where the key is, for messages. */
  readonly shownName: string;
  readonly publicKey: ParsedKey;
  sign(bytes: Buffer, hash: Hash | undefined): Promise<Buffer>;
}

type Hash = 'sha1' | 'sha256' | 'sha512';
type AskPassphrase = (keyFile: string) => Promise<string | undefined>;

/** A key file that was found: usable, or only the public half of a key that an agent may hold. */
interface KeyFile {
  readonly file: string;
  readonly publicKey: ParsedKey;
  readonly sign: Identity['sign'] | undefined;
}

/**
 * All keys of a login as one agent, in OpenSSH's order: keys of the configuration that the ssh agent
 * holds, the agent's other keys (unless IdentitiesOnly), then the key files. A key is offered by its
 * public half; only when the server would accept it is a passphrase asked for.
 */
export class Identities extends BaseAgent<ParsedKey> {
  /** Why keys were not used, for the error of a refused login. */
  readonly notes: string[];
  /** Names of the keys offered. */
  readonly offered: readonly string[];
  readonly #identities: readonly Identity[];

  constructor(identities: readonly Identity[], notes: string[]) {
    super();
    this.#identities = identities;
    this.notes = notes;
    this.offered = identities.map((identity) => identity.shownName);
  }

  get isEmpty(): boolean {
    return this.#identities.length === 0;
  }

  override getIdentities(done: (error?: Error | null, keys?: ParsedKey[]) => void): void {
    done(
      null,
      this.#identities.map((identity) => identity.publicKey),
    );
  }

  override sign(
    publicKey: ParsedKey,
    bytes: Buffer,
    options: { hash?: Hash } | SignDone,
    done?: SignDone,
  ): void {
    const finish = typeof options === 'function' ? options : done;
    const hash = typeof options === 'function' ? undefined : options.hash;
    const blob = publicKey.getPublicSSH();
    const identity = this.#identities.find((one) => one.publicKey.getPublicSSH().equals(blob));
    const signed =
      identity === undefined
        ? Promise.reject(new Error('a key that was not offered'))
        : hash === 'sha1'
          ? Promise.reject(new Error('the server wants a SHA-1 signature, which is not safe'))
          : identity.sign(bytes, hash);
    signed.then(
      (signature) => finish?.(null, signature),
      (error: unknown) => {
        const why = error instanceof Error ? error.message : String(error);
        this.notes.push(`${identity?.shownName ?? 'a key'}: ${why}`);
        finish?.(new Error(why));
      },
    );
  }
}

type SignDone = (error?: Error | null, signature?: Buffer) => void;

/**
 * Finds the keys of a login. Never fails: what cannot be used becomes a note.
 *
 * @param askPassphrase - absent when nobody can be asked: encrypted keys are then passed over
 */
export async function findIdentities(
  config: SshHostConfig,
  askPassphrase: AskPassphrase | undefined,
): Promise<Identities> {
  const notes: string[] = [];
  const note = (text: string): void => {
    notes.push(text);
  };
  const files: KeyFile[] = [];
  for (const file of config.identityFiles) {
    const keyFile = await readKeyFile(file, config.identityFilesNamed, askPassphrase, note);
    if (keyFile !== undefined) files.push(keyFile);
  }
  const agentKeys = await agentIdentities(config.agentSocket, note);
  const inFiles = (identity: Identity): boolean =>
    files.some((file) => sameKey(file.publicKey, identity.publicKey));
  const order = (identity: Identity): number =>
    files.findIndex((file) => sameKey(file.publicKey, identity.publicKey));
  const named = agentKeys.filter(inFiles).sort((a, b) => order(a) - order(b));
  const others = config.identitiesOnly ? [] : agentKeys.filter((key) => !inFiles(key));
  const fromFiles = files.flatMap(({ file, publicKey, sign }) => {
    if (sign === undefined || agentKeys.some((key) => sameKey(key.publicKey, publicKey))) return [];
    return [{ shownName: file, publicKey, sign }];
  });
  return new Identities([...named, ...others, ...fromFiles], notes);
}

function sameKey(a: ParsedKey, b: ParsedKey): boolean {
  return a.getPublicSSH().equals(b.getPublicSSH());
}

type Note = (text: string) => void;

async function agentIdentities(socket: string | undefined, note: Note): Promise<Identity[]> {
  if (socket === undefined) return [];
  const agent = createAgent(socket);
  return new Promise((resolve) => {
    const finish = (identities: Identity[], problem?: string): void => {
      clearTimeout(timer);
      if (problem !== undefined) note(`ssh agent ${socket}: ${problem}`);
      resolve(identities);
    };
    const timer = setTimeout(() => {
      finish([], 'no answer');
    }, AGENT_TIMEOUT_MS);
    agent.getIdentities((error, keys) => {
      if (error != null) {
        finish([], error.message);
        return;
      }
      const parsed = (keys ?? []).flatMap((key) => parsedKey(key) ?? []);
      finish(
        parsed.map((publicKey) => ({
          shownName: `agent: ${publicKey.comment === '' ? publicKey.type : publicKey.comment}`,
          publicKey,
          sign: (bytes, hash) => signWithAgent(agent, publicKey, bytes, hash),
        })),
      );
    });
  });
}

function signWithAgent(
  agent: BaseAgent,
  publicKey: ParsedKey,
  bytes: Buffer,
  hash: Hash | undefined,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    agent.sign(publicKey, bytes, hash === undefined ? {} : { hash }, (error, signature) => {
      if (error != null) reject(error);
      else if (signature === undefined) reject(new Error('the agent gave no signature'));
      else resolve(signature);
    });
  });
}

function parsedKey(key: unknown): ParsedKey | undefined {
  const parsed: ParsedKey | Error = utils.parseKey(key as ParsedKey);
  return parsed instanceof Error ? undefined : parsed;
}

async function readKeyFile(
  file: string,
  named: boolean,
  askPassphrase: AskPassphrase | undefined,
  note: Note,
): Promise<KeyFile | undefined> {
  const publicHalf = await readPublicHalf(`${file}.pub`);
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (missing && publicHalf !== undefined)
      return { file, publicKey: publicHalf, sign: undefined };
    if (named || !missing) note(`${file}: ${missing ? 'no such file' : 'cannot be read'}`);
    return undefined;
  }
  if (bytes.length > KEY_FILE_BYTES_MAX) {
    note(`${file}: not a key`);
    return undefined;
  }
  const key = utils.parseKey(bytes);
  if (!(key instanceof Error)) {
    const sign: Identity['sign'] = (data, hash) => signWithKey(key, data, hash);
    return { file, publicKey: key, sign: key.isPrivateKey() ? sign : undefined };
  }
  if (!isEncrypted(key)) {
    note(`${file}: ${key.message}`);
    return undefined;
  }
  return encryptedKeyFile({ file, bytes, publicHalf, askPassphrase, note });
}

async function readPublicHalf(file: string): Promise<ParsedKey | undefined> {
  try {
    const bytes = await readFile(file);
    return bytes.length > KEY_FILE_BYTES_MAX ? undefined : parsedKey(bytes);
  } catch {
    return undefined; // the usual case: it is only a convenience
  }
}

/** ssh2 tells an encrypted key from a broken one only by its words. */
function isEncrypted(error: Error): boolean {
  return /no passphrase given/i.test(error.message);
}

async function encryptedKeyFile(from: {
  file: string;
  bytes: Buffer;
  publicHalf: ParsedKey | undefined;
  askPassphrase: AskPassphrase | undefined;
  note: Note;
}): Promise<KeyFile | undefined> {
  const { file, bytes, askPassphrase, note } = from;
  const publicKey = publicHalfInside(bytes) ?? from.publicHalf;
  if (askPassphrase === undefined) {
    note(`${file}: needs a passphrase, and nobody can be asked`);
    // An agent may hold the key.
    return publicKey === undefined ? undefined : { file, publicKey, sign: undefined };
  }
  let unlocked: ParsedKey | undefined;
  const unlock = async (): Promise<ParsedKey> =>
    (unlocked ??= await unlockKey(file, bytes, askPassphrase));
  const sign: Identity['sign'] = async (data, hash) => signWithKey(await unlock(), data, hash);
  if (publicKey !== undefined) return { file, publicKey, sign };
  try {
    return { file, publicKey: await unlock(), sign }; // an old format that hides its public half
  } catch (error) {
    note(`${file}: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

async function unlockKey(
  file: string,
  bytes: Buffer,
  askPassphrase: AskPassphrase,
): Promise<ParsedKey> {
  for (let attempt = 0; attempt < PASSPHRASE_ATTEMPTS; attempt++) {
    const passphrase = await askPassphrase(file);
    if (passphrase === undefined)
      throw new LoginError('passphrase-missing', 'no passphrase was given');
    const key = utils.parseKey(bytes, passphrase);
    if (!(key instanceof Error)) return key;
  }
  throw new LoginError('passphrase-wrong', 'wrong passphrase');
}

/**
 * The public half of an encrypted `openssh-key-v1` file, which is stored in the clear.
 *
 * ```text
 * "openssh-key-v1\0" | string cipher | string kdf | string kdf options | uint32 1 | string public key | …
 * ```
 *
 * @see OpenSSH PROTOCOL.key
 */
function publicHalfInside(file: Buffer): ParsedKey | undefined {
  const armor = /-----BEGIN OPENSSH PRIVATE KEY-----([^-]+)-----END/.exec(file.toString('latin1'));
  if (armor?.[1] === undefined) return undefined;
  const bytes = Buffer.from(armor[1], 'base64');
  const magic = 'openssh-key-v1\0';
  if (bytes.toString('latin1', 0, magic.length) !== magic) return undefined;
  let offset = magic.length;
  const uint32 = (): number => {
    if (offset + 4 > bytes.length) return 0;
    offset += 4;
    return bytes.readUInt32BE(offset - 4);
  };
  for (let i = 0; i < 3; i++) {
    const length = uint32();
    offset += length;
  }
  if (uint32() !== 1) return undefined;
  const length = uint32();
  return parsedKey(bytes.subarray(offset, offset + length));
}

function signWithKey(key: ParsedKey, bytes: Buffer, hash: Hash | undefined): Promise<Buffer> {
  const signature: Buffer | Error = key.sign(bytes, hash);
  return signature instanceof Error ? Promise.reject(signature) : Promise.resolve(signature);
}
