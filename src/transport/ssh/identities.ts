/** The keys of an ssh login as one agent. */
import { BaseAgent, createAgent, type ParsedKey } from 'ssh2';
import { reasonOf } from '../../system-errors.ts';
import { agentSockets } from './config/agent-socket.ts';
import type { SshHostConfig } from './config/config.ts';
import {
  parsedKey,
  readKeyFile,
  type AskPassphrase,
  type Hash,
  type KeyFile,
  type Note,
} from './key-file.ts';
import type { LoginMemory } from './memory.ts';

const AGENT_TIMEOUT_MS = 5000;

/** With at most this many offers, a password still fits into the six attempts that sshd allows. */
const OFFERS_MAX_WITH_SECOND = 4;

/** A key to offer, with a function that signs by it. */
interface Identity {
  /** The key's location, for messages. */
  readonly shownName: string;
  readonly publicKey: ParsedKey;
  sign(bytes: Buffer, hash: Hash | undefined): Promise<Buffer>;
}

/**
 * The keys of a login as one agent, in OpenSSH's order: keys of the configuration that the ssh
 * agent holds, the agent's other keys (unless IdentitiesOnly), then the key files. The public half
 * is offered first; a passphrase is requested only if the server would accept the key.
 */
export class LoginKeys extends BaseAgent<ParsedKey> {
  readonly #offers: readonly ParsedKey[];
  /** Why keys were not used, for the error of a refused login. */
  readonly notes: string[];
  /** Names of the keys offered. */
  readonly offered: readonly string[];
  readonly #identities: readonly Identity[];
  readonly #mayUseSha1: boolean;

  /** @param allowed - signature algorithms */
  constructor(identities: readonly Identity[], notes: string[], allowed: ReadonlySet<string>) {
    super();
    this.#identities = identities;
    this.#offers = offersOf(identities, allowed);
    this.#mayUseSha1 = allowed.has('ssh-rsa');
    this.notes = notes;
    this.offered = identities.map((identity) => identity.shownName);
  }

  get isEmpty(): boolean {
    return this.#identities.length === 0;
  }

  override getIdentities(done: (error?: Error | null, keys?: ParsedKey[]) => void): void {
    done(null, [...this.#offers]);
  }

  override sign(
    publicKey: ParsedKey,
    bytes: Buffer,
    options: { hash?: Hash } | SignDone,
    done?: SignDone,
  ): void {
    const finish = typeof options === 'function' ? options : done;
    const requested = typeof options === 'function' ? undefined : options.hash;
    const hash = (publicKey.type as string) === RSA_SHA512 ? 'sha512' : requested;
    const blob = publicKey.getPublicSSH();
    const identity = this.#identities.find((one) => one.publicKey.getPublicSSH().equals(blob));
    const signed =
      identity === undefined
        ? Promise.reject(new Error('a key that was not offered'))
        : hash === 'sha1' && !this.#mayUseSha1
          ? Promise.reject(new Error('the server wants a SHA-1 signature, which is not secure'))
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
 * Finds the keys of a login. Never fails: a key that cannot be used becomes a note.
 *
 * @param askPassphrase - absent if nobody can be asked: encrypted keys are then skipped
 * @param memory - holds the keys unlocked so far, and gets those unlocked later
 */
export async function findIdentities(
  config: SshHostConfig,
  askPassphrase: AskPassphrase | undefined,
  memory: LoginMemory,
): Promise<LoginKeys> {
  const notes: string[] = [];
  const note = (text: string): void => {
    notes.push(text);
  };
  const files: KeyFile[] = [];
  for (const file of config.identityFiles) {
    const keyFile = await readKeyFile(file, config.identityFilesNamed, {
      askPassphrase,
      memory,
      note,
    });
    if (keyFile !== undefined) files.push(keyFile);
  }
  const agentKeys: Identity[] = [];
  for (const socket of await agentSockets(config.agentSocket)) {
    agentKeys.push(...(await agentIdentities(socket, note)));
  }
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
  const allowed = new Set<string>(config.loginKeyAlgorithms);
  const isAllowed = ({ publicKey, shownName }: Identity): boolean => {
    const names = publicKey.type === 'ssh-rsa' ? RSA_ALGORITHMS : [publicKey.type];
    if (names.some((name) => allowed.has(name))) return true;
    note(`${shownName}: PubkeyAcceptedAlgorithms leaves out ${publicKey.type}`);
    return false;
  };
  const offered = [...named, ...others, ...fromFiles].filter(isAllowed);
  return new LoginKeys(offered, notes, allowed);
}

const RSA_SHA512 = 'rsa-sha2-512';
/** Signature algorithms of an RSA key (RFC 8332). */
const RSA_ALGORITHMS = [RSA_SHA512, 'rsa-sha2-256', 'ssh-rsa'];

/**
 * The keys to offer, in order. ssh2 signs by rsa-sha2-256 if the server lists it, and many servers
 * list algorithms that they do not accept. OpenSSH begins with rsa-sha2-512, and so do we. We offer
 * rsa-sha2-256 again at the end, unless that would use up the attempts of a login.
 */
function offersOf(identities: readonly Identity[], allowed: ReadonlySet<string>): ParsedKey[] {
  const keys = identities.map(({ publicKey }) => publicKey);
  if (!allowed.has(RSA_SHA512)) return keys;
  const first = keys.map((key) => (key.type === 'ssh-rsa' ? asSha512(key) : key));
  if (!allowed.has('rsa-sha2-256') && !allowed.has('ssh-rsa')) return first;
  const room = Math.max(0, OFFERS_MAX_WITH_SECOND - first.length);
  return [...first, ...keys.filter(({ type }) => type === 'ssh-rsa').slice(0, room)];
}

/** The same key with rsa-sha2-512 as its type, which ssh2 then uses as the signature algorithm. */
function asSha512(key: ParsedKey): ParsedKey {
  const offer = Object.create(key) as ParsedKey;
  return Object.defineProperty(offer, 'type', { value: RSA_SHA512 });
}

function sameKey(a: ParsedKey, b: ParsedKey): boolean {
  return a.getPublicSSH().equals(b.getPublicSSH());
}

async function agentIdentities(socket: string, note: Note): Promise<Identity[]> {
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
        finish([], reasonOf(error));
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
