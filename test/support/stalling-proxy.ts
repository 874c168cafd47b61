/** A TCP relay that stalls, cuts or slows a conversation after a number of bytes. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** Which bytes are counted and stopped: to the server, from it, or the two together. */
export type Way = 'up' | 'down' | 'both';

/** What becomes of a conversation. */
export interface ProxyPlan {
  readonly way: Way;
  /** So many bytes pass, of all connections together. */
  readonly afterBytes: number;
  /**
   * `stall`: nothing passes any more that way, and every connection stays open. `cut`: all connections
   * are reset. A number: so many bytes a second pass from then on.
   */
  readonly then: 'stall' | 'cut' | number;
}

/** A relay in front of a server of this machine. */
export interface StallingProxy {
  readonly port: number;
  /** Bytes that have passed. */
  passed(): { readonly up: number; readonly down: number };
  /** Settles when the plan takes effect, with `performance.now()` of that moment. */
  readonly reached: Promise<number>;
  /** `performance.now()` of the last byte that passed, either way. */
  lastByteMs(): number;
  /** Ends all connections and the relay. */
  stop(): void;
}

/** How often a slowed connection gets its share. */
const SLOW_TICK_MS = 50;

/** Starts a relay on a port of 127.0.0.1 that `toPort` is behind; without a plan everything passes. */
export async function startStallingProxy(toPort: number, plan?: ProxyPlan): Promise<StallingProxy> {
  const sockets = new Set<Socket>();
  const passed = { up: 0, down: 0 };
  let lastByteMs = performance.now();
  let noteReached: (atMs: number) => void = () => undefined;
  const reached = new Promise<number>((resolve) => (noteReached = resolve));

  const leftOf = (way: 'up' | 'down'): number => {
    if (plan === undefined || (plan.way !== 'both' && plan.way !== way)) return Infinity;
    const counted = plan.way === 'both' ? passed.up + passed.down : passed[way];
    return Math.max(0, plan.afterBytes - counted);
  };
  const takeEffect = (from: Socket, to: Socket, rest: Buffer): void => {
    noteReached(performance.now());
    if (plan?.then === 'cut') for (const socket of sockets) socket.resetAndDestroy();
    else if (plan?.then === 'stall') from.pause();
    else slowly(from, to, { rest, bytesPerSec: plan?.then ?? Infinity });
  };
  const relay = (from: Socket, to: Socket, way: 'up' | 'down'): void => {
    from.on('data', (chunk: Buffer) => {
      const now = chunk.subarray(0, leftOf(way));
      passed[way] += now.length;
      if (now.length > 0) {
        lastByteMs = performance.now();
        if (!to.write(now)) from.pause();
      }
      if (leftOf(way) > 0) return;
      from.removeAllListeners('data');
      to.removeAllListeners('drain');
      takeEffect(from, to, chunk.subarray(now.length));
    });
    to.on('drain', () => from.resume());
    from.on('end', () => to.end());
    from.on('close', () => {
      // A stalled side does not learn of it: that is what a stall is.
      if (plan?.then !== 'stall' || leftOf(way) > 0) to.destroy();
    });
  };
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect({ port: toPort, host: '127.0.0.1', allowHalfOpen: true });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => sockets.delete(socket));
    }
    relay(client, upstream, 'up');
    relay(upstream, client, 'down');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    passed: () => ({ ...passed }),
    reached,
    lastByteMs: () => lastByteMs,
    stop: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function slowly(
  from: Socket,
  to: Socket,
  { rest, bytesPerSec }: { readonly rest: Buffer; readonly bytesPerSec: number },
): void {
  let waiting = rest;
  const share = Math.max(1, Math.round((bytesPerSec * SLOW_TICK_MS) / 1000));
  from.on('data', (chunk: Buffer) => {
    waiting = Buffer.concat([waiting, chunk]);
    from.pause();
  });
  const timer = setInterval(() => {
    if (waiting.length > 0) to.write(waiting.subarray(0, share));
    waiting = waiting.subarray(share);
    if (waiting.length === 0) from.resume();
  }, SLOW_TICK_MS);
  to.on('close', () => clearInterval(timer));
}
