/** Connects to an ssh server and logs in, through jump hosts if there are any. */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type ClientChannel } from 'ssh2';
import { ConnectionError, EcsyncError } from '../../errors.ts';
import { errnoOf } from '../../platform.ts';
import { reasonOf } from '../../system-errors.ts';
import { LoginAttempts } from './auth.ts';
import type { SshHostConfig } from './config/config.ts';
import { Deadline } from '../deadline.ts';
import { HostKeyCheck } from './host-key.ts';
import { findIdentities } from './identities.ts';
import type { LoginMemory } from './memory.ts';
import { algorithmsMismatch, NegotiationListener } from './mismatch.ts';
import type { SshOptions } from './options.ts';
import type { SshHop, SshRoute } from './route.ts';
import { shownAddress, withAlias } from '../ssh-target.ts';
import { TunnelStream, type Carrier } from './tunnel.ts';

/**
 * An established login. Its owner handles the errors of both objects. When the socket closes, the
 * logins to the jump hosts below it end.
 */
export interface Login {
  readonly client: Client;
  readonly socket: Carrier;
}

const ATTEMPT_PAUSE_MS = 1000;

/** Time for a jump host to disconnect. */
const GOODBYE_MS = 1000;

/**
 * Connects and logs in, through jump hosts if there are any. For each machine, known_hosts and keys
 * are read and the server is verified before any key or password is offered to it.
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
    const jumpHost = login;
    try {
      login = await logInTo(hop, jumpHost.client, options, memory);
    } catch (error) {
      logOut(jumpHost);
      throw error;
    }
    login.socket.once('close', () => {
      logOut(jumpHost);
    });
  }
  return login;
}

function logOut({ client, socket }: Login): void {
  client.end();
  setTimeout(() => socket.destroy(), GOODBYE_MS).unref();
}

async function logInTo(
  { config, shownName }: SshHop,
  jumpHost: Client | undefined,
  options: SshOptions,
  memory: LoginMemory,
): Promise<Login> {
  const where = withAlias(config.alias, shownAddress(config.hostName, config.port));
  const attemptMs = Math.min(options.connectTimeoutMs, config.connectTimeoutMs ?? Infinity);
  const limitMs = attemptMs + (config.connectionAttempts - 1) * (attemptMs + ATTEMPT_PAUSE_MS);
  const { signal } = options;
  signal?.throwIfAborted();
  const { deadline, expired, end } = startDeadline(limitMs, where);
  const stop = (): void => end(signal?.reason as Error);
  signal?.addEventListener('abort', stop, { once: true });
  const cancelled = new AbortController();
  let socket: Carrier | undefined;
  try {
    const canAsk = !config.batchMode;
    const { askPassphrase, askPassword, askHostKey } = canAsk ? options : {};
    const hostKeys = await HostKeyCheck.load(config, {
      acceptNew: options.acceptNewHostKey,
      onNotice: options.onNotice ?? (() => undefined),
      ...(askHostKey && { ask: deadline.pausedDuring(askHostKey) }),
    });
    const identities = await findIdentities(
      config,
      askPassphrase === undefined ? undefined : deadline.pausedDuring(askPassphrase),
      memory,
    );
    const ask = askPassword === undefined ? undefined : deadline.pausedDuring(askPassword);
    const attempts = new LoginAttempts({ config, shownName, memory, askPassword: ask }, identities);
    const opening =
      jumpHost === undefined
        ? connectSocket(config, where, attemptMs, cancelled.signal)
        : openTunnel(jumpHost, config, where);
    socket = await Promise.race([opening, expired]);
    const ready = authenticate(socket, { config, hostKeys, attempts, where });
    return { client: await Promise.race([ready, expired]), socket };
  } catch (error) {
    cancelled.abort();
    socket?.destroy();
    throw error;
  } finally {
    signal?.removeEventListener('abort', stop);
    deadline.cancel();
  }
}

/** @returns `expired` is rejected when the time is over, or with the error given to `end` */
function startDeadline(
  limitMs: number,
  where: string,
): { deadline: Deadline; expired: Promise<never>; end: (error: Error) => void } {
  let end: (error: Error) => void = () => undefined;
  const expired = new Promise<never>((_, reject) => (end = reject));
  expired.catch(() => undefined); // it may expire before anything awaits it
  const expire = (): void =>
    end(
      new ConnectionError('connect-timeout', `${where}: no login within ${limitMs / 1000} s`, {
        hint: 'Check the network, and that an ssh server runs there, or allow more time.',
      }),
    );
  return { deadline: new Deadline(limitMs, expire), expired, end };
}

/** Connects, and retries after failures up to ConnectionAttempts times. */
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
    // The last attempt has the rest of the total time.
    const isLast = attempt >= config.connectionAttempts;
    const timer = isLast ? undefined : setTimeout(destroy, attemptMs);
    try {
      await awaitConnect(socket, where);
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
  // There is always a listener: a late error must not crash the process.
  socket.on('error', () => undefined);
  socket.pause();
  return socket;
}

function awaitConnect(socket: Socket, where: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', (cause) => {
      reject(unreachable(where, connectReason(cause), cause));
    });
    socket.once('close', () => {
      reject(unreachable(where, 'no answer'));
    });
  });
}

/** Opens a connection from a jump host to the next machine. */
function openTunnel(jumpHost: Client, config: SshHostConfig, where: string): Promise<Carrier> {
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
    jumpHost.once('close', () => {
      reject(unreachable(where, 'the jump host closed the connection'));
    });
    try {
      jumpHost.forwardOut('127.0.0.1', 0, config.hostName, config.port, done);
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

function connectReason(error: Error): string {
  if (errnoOf(error) !== 'EADDRNOTAVAIL') return reasonOf(error);
  return 'the local address (BindAddress) does not belong to this machine';
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
      // A key that could not sign does not fail the login: the next one is tried.
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
      readyTimeout: 0, // our deadline covers more
      // ssh2 only sends keepalives; SshSession decides whether the server is still alive.
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
      debug: negotiation.onDebug,
      hostVerifier: (key: Buffer, verify: (permitted: boolean) => void) => {
        if (hostKeys.isAccepted(key)) {
          verify(true); // a later key exchange while data is waiting: ssh2 needs the answer at once
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
  if (level === 'client-socket' || stage === 'login')
    return lost(where, connectReason(error), error);
  return new ConnectionError(
    'handshake-failed',
    `${where}: this is not an ssh server: ${error.message}`,
    { hint: 'Check the port.', cause: error },
  );
}

function lost(where: string, why: string, cause?: unknown): ConnectionError {
  return new ConnectionError('connection-lost', `${where}: the connection was lost: ${why}`, {
    hint: 'Run again to continue.',
    cause,
  });
}
