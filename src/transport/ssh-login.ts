import { connect, type Socket } from 'node:net';
import { Client, type Algorithms } from 'ssh2';
import { ConnectionError, EcsyncError, LoginError } from '../errors.ts';
import { LoginAttempts } from './ssh-auth.ts';
import type { SshHostConfig } from './ssh-config.ts';
import { Deadline } from './ssh-deadline.ts';
import { HostKeyCheck } from './ssh-host-key.ts';
import { findIdentities } from './ssh-identities.ts';
import { shownAddress } from './ssh-target.ts';
import type { SshOptions } from './ssh-options.ts';

/** A connection that is logged in. Errors of both are the holder's from here on. */
export interface Login {
  readonly client: Client;
  readonly socket: Socket;
}

/**
 * Sound algorithms only: no SHA-1, no CBC, no short groups, no compression (ciphertext does not
 * shrink). AES-GCM first: with the processor's help it is the fastest by far.
 */
const ALGORITHMS = {
  kex: [
    'curve25519-sha256',
    'curve25519-sha256@libssh.org',
    'ecdh-sha2-nistp256',
    'ecdh-sha2-nistp384',
    'ecdh-sha2-nistp521',
    'diffie-hellman-group16-sha512',
    'diffie-hellman-group18-sha512',
    'diffie-hellman-group14-sha256',
    'diffie-hellman-group-exchange-sha256',
  ],
  cipher: [
    'aes128-gcm@openssh.com',
    'aes256-gcm@openssh.com',
    'aes128-ctr',
    'aes256-ctr',
    'chacha20-poly1305@openssh.com',
  ],
  hmac: [
    'hmac-sha2-256-etm@openssh.com',
    'hmac-sha2-512-etm@openssh.com',
    'hmac-sha2-256',
    'hmac-sha2-512',
  ],
  compress: ['none'],
} satisfies Algorithms;

/**
 * Connects and logs in: known_hosts and keys are read, the server is verified, and only then is a
 * key or password offered to it.
 *
 * @param shownName - `user@host`, for messages
 * @throws {LoginError} `host-key-…`, `known-hosts-…`, `login-refused`, `algorithms-mismatch`
 * @throws {ConnectionError} `connect-failed`, `connect-timeout`, `connection-lost`,
 *   `handshake-failed`
 */
export async function logIn(
  config: SshHostConfig,
  options: SshOptions,
  shownName: string,
): Promise<Login> {
  const where = shownAddress(config.hostName, config.port);
  const hostKeys = await HostKeyCheck.load(config, {
    acceptNew: options.acceptNewHostKey,
    onNotice: options.onNotice ?? (() => undefined),
  });
  const limitMs = Math.min(options.connectTimeoutMs, config.connectTimeoutMs ?? Infinity);
  const { deadline, expired } = startDeadline(limitMs, where);
  let socket: Socket | undefined;
  try {
    const { askPassphrase, askPassword } = options;
    const identities = await findIdentities(
      config,
      askPassphrase === undefined ? undefined : deadline.outside(askPassphrase),
    );
    const attempts = new LoginAttempts(
      { user: config.user, shownName },
      identities,
      askPassword === undefined ? undefined : deadline.outside(askPassword),
    );
    socket = openSocket(config);
    await Promise.race([connected(socket, where), expired]);
    const ready = authenticate(socket, { config, hostKeys, attempts, where });
    return { client: await Promise.race([ready, expired]), socket };
  } catch (error) {
    socket?.destroy();
    throw error;
  } finally {
    deadline.cancel();
  }
}

function startDeadline(
  limitMs: number,
  where: string,
): { deadline: Deadline; expired: Promise<never> } {
  let expire: () => void = () => undefined;
  const expired = new Promise<never>((_, reject) => {
    expire = () => {
      reject(
        new ConnectionError('connect-timeout', `${where}: no login within ${limitMs / 1000} s`, {
          hint: 'Check the network and that an ssh server runs there, or allow more time.',
        }),
      );
    };
  });
  expired.catch(() => undefined); // it may expire while nobody waits for it yet
  return { deadline: new Deadline(limitMs, expire), expired };
}

function openSocket(config: SshHostConfig): Socket {
  const socket = connect({
    host: config.hostName,
    port: config.port,
    family: config.addressFamily,
    noDelay: true,
  });
  // There is always a listener: an error that comes late must not end the process.
  socket.on('error', () => undefined);
  socket.pause();
  return socket;
}

function connected(socket: Socket, where: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', (cause) => {
      reject(
        new ConnectionError('connect-failed', `${where}: cannot be reached: ${whyNot(cause)}`, {
          hint: 'Check the name and the port, and that the server is up.',
          cause,
        }),
      );
    });
  });
}

const SOCKET_ERRORS: Readonly<Record<string, string>> = {
  ENOTFOUND: 'the name is not known',
  EAI_AGAIN: 'the name cannot be looked up just now',
  ECONNREFUSED: 'nothing listens there',
  EHOSTUNREACH: 'no route to it',
  ENETUNREACH: 'no network',
  ETIMEDOUT: 'no answer',
  ECONNRESET: 'it closed the connection',
};

function whyNot(error: Error): string {
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return SOCKET_ERRORS[code] ?? (first instanceof Error ? first.message : error.message);
}

interface Handshake {
  readonly config: SshHostConfig;
  readonly hostKeys: HostKeyCheck;
  readonly attempts: LoginAttempts;
  readonly where: string;
}

function authenticate(socket: Socket, handshake: Handshake): Promise<Client> {
  const { config, hostKeys, attempts, where } = handshake;
  const client = new Client();
  return new Promise((resolve, reject) => {
    let stage: 'handshake' | 'login' = 'handshake';
    client.on('handshake', () => (stage = 'login'));
    client.on('ready', () => {
      resolve(client);
    });
    client.on('error', (error) => {
      // A key that could not sign is no failure: the next one is tried.
      if ('level' in error && error.level === 'agent') return;
      reject(loginFailure(error, stage, attempts, where));
    });
    client.on('close', () => {
      reject(lost(where, 'the server closed it during the login'));
    });
    client.connect({
      sock: socket,
      username: config.user,
      readyTimeout: 0, // ours covers more
      // ssh2 only sends these; whether the server still answers is judged where both are seen.
      keepaliveInterval: config.serverAliveIntervalMs,
      keepaliveCountMax: Number.MAX_SAFE_INTEGER,
      algorithms: { ...ALGORITHMS, serverHostKey: hostKeys.algorithms() },
      authHandler: attempts.next,
      agentForward: false,
      tryKeyboard: false,
      strictVendor: true,
      hostVerifier: (key: Buffer, verify: (permitted: boolean) => void) => {
        if (hostKeys.isAccepted(key)) {
          verify(true); // keys are exchanged anew, with data waiting: ssh2 wants the answer now
          return;
        }
        hostKeys.verify(key).then(
          () => {
            verify(true);
          },
          (error: unknown) => {
            reject(error instanceof Error ? error : new Error(String(error)));
            verify(false);
          },
        );
      },
    });
  });
}

function loginFailure(
  error: Error,
  stage: 'handshake' | 'login',
  attempts: LoginAttempts,
  where: string,
): EcsyncError {
  if (error instanceof EcsyncError) return error;
  const level = 'level' in error ? error.level : undefined;
  if (level === 'client-authentication') return attempts.refused();
  if (/too many authentication failures/i.test(error.message)) return attempts.refused();
  if (/no matching/i.test(error.message)) {
    return new LoginError(
      'algorithms-mismatch',
      `${where}: the server speaks only ssh algorithms that the built-in ssh does not: ${error.message}`,
      { hint: 'Update the server, or use the system’s ssh: add `--rsh ssh`.', cause: error },
    );
  }
  if (level === 'client-socket' || stage === 'login') return lost(where, whyNot(error), error);
  return new ConnectionError(
    'handshake-failed',
    `${where}: this does not answer like an ssh server: ${error.message}`,
    { hint: 'Check the port.', cause: error },
  );
}

function lost(where: string, why: string, cause?: unknown): ConnectionError {
  return new ConnectionError('connection-lost', `${where}: the connection was lost: ${why}`, {
    hint: 'Run again to continue.',
    cause,
  });
}
