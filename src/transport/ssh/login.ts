/** Connects to an ssh server and logs in, through jump hosts if there are any. */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type ClientChannel } from 'ssh2';
import { ConnectionError, EcsyncError } from '../../errors.ts';
import { errnoOf } from '../../platform.ts';
import { reasonOf } from '../../system-words.ts';
import { LoginAttempts } from './auth.ts';
import type { SshHostConfig } from './config/config.ts';
import { Deadline } from '../deadline.ts';
import { HostKeyCheck } from './host-key.ts';
import { findIdentities } from './identities.ts';
import type { LoginMemory } from './memory.ts';
import { algorithmsMismatch, NegotiationListener } from './mismatch.ts';
import type { SshOptions } from './options.ts';
import type { SshHop, SshRoute } from './route.ts';
import { shownAddress } from '../ssh-target.ts';
import { TunnelStream, type Carrier } from './tunnel.ts';

/**
 * A connection that is logged in. Errors of both are the holder's from here on. When the socket
 * closes, the logins of jump hosts under it end.
 */
export interface Login {
  readonly client: Client;
  readonly socket: Carrier;
}

const ATTEMPT_PAUSE_MS = 1000;

/** Time a jump host has for an orderly end. */
const GOODBYE_MS = 1000;

/**
 * Connects and logs in, by way of jump hosts if there are any. For each machine: known_hosts and keys
 * are read, the server is verified, and only then is a key or password offered to it.
 *
 * @throws {LoginError} `host-key-…`, `known-hosts-…`, `login-refused`, `algorithms-mismatch`
 * @throws {ConnectionError} `connect-failed`, `connect-timeout`, `connection-lost`,
 *   `handshake-failed`
 */
export async function logIn(
  route: SshRoute,
  options: SshOptions,
  memory: LoginMemory,
): Promise<Login> {
  const [first, ...others] = route;
  let login = await logInTo(first, undefined, options, memory);
  for (const hop of others) {
    const through = login;
    try {
      login = await logInTo(hop, through.client, options, memory);
    } catch (error) {
      end(through);
      throw error;
    }
    login.socket.once('close', () => {
      end(through);
    });
  }
  return login;
}

function end({ client, socket }: Login): void {
  client.end();
  setTimeout(() => socket.destroy(), GOODBYE_MS).unref();
}

async function logInTo(
  { config, shownName }: SshHop,
  through: Client | undefined,
  options: SshOptions,
  memory: LoginMemory,
): Promise<Login> {
  const where = shownAddress(config.hostName, config.port);
  const attemptMs = Math.min(options.connectTimeoutMs, config.connectTimeoutMs ?? Infinity);
  const limitMs = attemptMs + (config.connectionAttempts - 1) * (attemptMs + ATTEMPT_PAUSE_MS);
  const { deadline, expired } = startDeadline(limitMs, where);
  const cancelled = new AbortController();
  let socket: Carrier | undefined;
  try {
    const canAsk = !config.batchMode;
    const { askPassphrase, askPassword, askHostKey } = canAsk ? options : {};
    const hostKeys = await HostKeyCheck.load(config, {
      acceptNew: options.acceptNewHostKey,
      onNotice: options.onNotice ?? (() => undefined),
      ...(askHostKey && { ask: deadline.outside(askHostKey) }),
    });
    const identities = await findIdentities(
      config,
      askPassphrase === undefined ? undefined : deadline.outside(askPassphrase),
      memory,
    );
    const ask = askPassword === undefined ? undefined : deadline.outside(askPassword);
    const attempts = new LoginAttempts({ config, shownName, memory, askPassword: ask }, identities);
    const opening =
      through === undefined
        ? connectSocket(config, where, attemptMs, cancelled.signal)
        : openTunnel(through, config, where);
    socket = await Promise.race([opening, expired]);
    const ready = authenticate(socket, { config, hostKeys, attempts, where });
    return { client: await Promise.race([ready, expired]), socket };
  } catch (error) {
    cancelled.abort();
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

/** Connects, as often as ConnectionAttempts says while nobody answers. */
async function connectSocket(
  config: SshHostConfig,
  where: string,
  attemptMs: number,
  signal: AbortSignal,
): Promise<Socket> {
  for (let attempt = 1; ; attempt++) {
    const socket = openSocket(config);
    const destroy = (): void => void socket.destroy();
    signal.addEventListener('abort', destroy, { once: true });
    // The last attempt has the rest of the whole time.
    const isLast = attempt >= config.connectionAttempts;
    const timer = isLast ? undefined : setTimeout(destroy, attemptMs);
    try {
      await connected(socket, where);
      return socket;
    } catch (error) {
      socket.destroy();
      if (isLast || signal.aborted) throw error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', destroy);
    }
    await sleep(ATTEMPT_PAUSE_MS, undefined, { signal });
  }
}

function openSocket(config: SshHostConfig): Socket {
  const socket = connect({
    host: config.hostName,
    port: config.port,
    family: config.addressFamily,
    noDelay: true,
    keepAlive: config.tcpKeepAlive,
    ...(config.bindAddress !== undefined && { localAddress: config.bindAddress }),
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
      reject(unreachable(where, whyNot(cause), cause));
    });
    socket.once('close', () => {
      reject(unreachable(where, 'no answer'));
    });
  });
}

/** A connection from a jump host to the next machine. */
function openTunnel(through: Client, config: SshHostConfig, where: string): Promise<Carrier> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | undefined, channel: ClientChannel): void => {
      if (error === undefined) {
        const tunnel = new TunnelStream(channel);
        tunnel.on('error', () => undefined);
        resolve(tunnel);
      } else {
        reject(unreachable(where, `the jump host: ${error.message}`, error));
      }
    };
    through.once('close', () => {
      reject(unreachable(where, 'the jump host closed the connection'));
    });
    try {
      through.forwardOut('127.0.0.1', 0, config.hostName, config.port, done);
    } catch (error) {
      reject(unreachable(where, 'the jump host closed the connection', error));
    }
  });
}

function unreachable(where: string, why: string, cause?: unknown): ConnectionError {
  return new ConnectionError('connect-failed', `${where}: cannot be reached: ${why}`, {
    hint: 'Check the name and the port, and that the server is up.',
    cause,
  });
}

function whyNot(error: Error): string {
  if (errnoOf(error) !== 'EADDRNOTAVAIL') return reasonOf(error);
  return 'the address to connect from (BindAddress) is not one of this machine';
}

interface Handshake {
  readonly config: SshHostConfig;
  readonly hostKeys: HostKeyCheck;
  readonly attempts: LoginAttempts;
  readonly where: string;
}

function authenticate(socket: Carrier, handshake: Handshake): Promise<Client> {
  const { config, hostKeys, attempts, where } = handshake;
  const client = new Client();
  const negotiation = new NegotiationListener();
  return new Promise((resolve, reject) => {
    let stage: 'handshake' | 'login' = 'handshake';
    client.on('handshake', () => (stage = 'login'));
    client.on('ready', () => {
      resolve(client);
    });
    client.on('error', (error) => {
      // A key that could not sign is no failure: the next one is tried.
      if ('level' in error && error.level === 'agent') return;
      reject(
        /no matching/i.test(error.message)
          ? algorithmsMismatch(where, error.message, negotiation.lists)
          : loginFailure(error, stage, attempts, where),
      );
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
      algorithms: {
        kex: [...config.algorithms.kex],
        cipher: [...config.algorithms.cipher],
        hmac: [...config.algorithms.hmac],
        compress: ['none'], // ciphertext does not shrink
        serverHostKey: hostKeys.algorithms(),
      },
      authHandler: attempts.next,
      agentForward: false,
      tryKeyboard: false,
      strictVendor: true,
      debug: negotiation.hear,
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
  if (/too many authentication failures/i.test(error.message)) return attempts.refused(true);
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
