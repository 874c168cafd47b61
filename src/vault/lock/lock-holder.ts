/** Who holds a lock, as the lock file says in one line of JSON, and whether that is anybody still. */
import { randomBytes } from 'node:crypto';
import { ownIdentity, whereaboutsOf, type ProcessIdentity } from './process-identity.ts';

/** What a lock was taken for. */
export interface LockTask {
  /** `push`, `verify`, `key passwd` */
  readonly command: string;
  /** Canonical text of the destination. */
  readonly destination?: string;
}

/** A holder as the lock file names it. */
export interface Holder extends ProcessIdentity {
  /** Differs for every acquisition, so that successors cannot be confused. */
  readonly id: string;
  /** ISO 8601, for people. */
  readonly since: string;
  /** So long after it was last renewed a lock is nobody's, if nothing else tells; 0: for ever. */
  readonly leaseSec: number;
  readonly task?: LockTask;
  /** When it was renewed, by the time of the file: milliseconds since 1970. Not in the file. */
  readonly renewedMs?: number;
}

/** Who holds a lock, as far as it can be told from here. */
export interface SeenHolder {
  readonly id: string;
  /** 0: the lock file is unreadable. */
  readonly pid: number;
  readonly host: string;
  /** ISO 8601; empty when unknown. */
  readonly since: string;
  readonly task?: LockTask;
  /** Certainly gone: its process ended, the machine was started anew, or its lease has run out. */
  readonly isGone: boolean;
  /** On another machine or in another container, whose processes cannot be seen from here. */
  readonly isElsewhere: boolean;
  /** Of one that cannot be seen: 0 when it renews nothing. */
  readonly leaseSec: number;
  /** When it was renewed, by the time of the file: milliseconds since 1970. */
  readonly renewedMs: number;
}

/** Beyond this no process is kept from what it does; a machine that sleeps is. */
export const LEASE_SEC = 60;
const LEASE_MAX_SEC = 600;

export function describeOwn(task?: LockTask): Holder {
  return {
    id: randomBytes(12).toString('hex'),
    ...ownIdentity(),
    since: new Date().toISOString(),
    leaseSec: LEASE_SEC,
    ...(task && { task }),
  };
}

/** Inverse of {@link parseHolder}. */
export function encodeHolder(holder: Holder): string {
  return `${JSON.stringify(holder)}\n`;
}

/** @returns for a text that says nothing, a holder with process id 0 */
export function parseHolder(text: string): Holder {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined; // Cut off by a power failure, or not ours.
  }
  const facts = factsOf(value);
  const word = (key: string): string => wordOf(facts, key) ?? '';
  const number = (key: string): number => {
    const fact: unknown = facts.get(key);
    return typeof fact === 'number' && fact > 0 ? fact : 0;
  };
  const pid = number('pid');
  const task = parseTask(facts.get('task'));
  return {
    id: /^[0-9a-f]{1,32}$/.test(word('id')) ? word('id') : 'unreadable',
    pid: Number.isSafeInteger(pid) ? pid : 0,
    host: word('host'),
    pidSpace: word('pidSpace'),
    started: word('started'),
    since: word('since'),
    uptimeSec: number('uptimeSec'),
    leaseSec: Math.min(number('leaseSec'), LEASE_MAX_SEC),
    ...(task && { task }),
  };
}

function parseTask(value: unknown): LockTask | undefined {
  const facts = factsOf(value);
  const command = wordOf(facts, 'command');
  const destination = wordOf(facts, 'destination');
  if (command === undefined) return undefined;
  return destination === undefined ? { command } : { command, destination };
}

function factsOf(value: unknown): ReadonlyMap<string, unknown> {
  return new Map(Object.entries(typeof value === 'object' && value !== null ? value : {}));
}

function wordOf(facts: ReadonlyMap<string, unknown>, key: string): string | undefined {
  const fact = facts.get(key);
  return typeof fact === 'string' ? fact : undefined;
}

/**
 * Whether a holder does not run any more.
 *
 * @param nowMs - the time on the disk that the lock is on; this machine's, where that is not known
 */
export function isGone(holder: Holder, nowMs: number = Date.now()): boolean {
  if (holder.pid === 0) return true;
  const whereabouts = whereaboutsOf(holder);
  if (whereabouts === 'running' || whereabouts === 'ended') return whereabouts === 'ended';
  if (holder.leaseSec === 0) return whereabouts === 'rebooted';
  const { renewedMs } = holder;
  return renewedMs !== undefined && nowMs - renewedMs > holder.leaseSec * 1000;
}

/** What can be told of a holder without asking its disk. */
export function lookAtHolder(holder: Holder): SeenHolder {
  const { id, pid, host, since, task, leaseSec, renewedMs = 0 } = holder;
  const isSeen = pid === 0 || ['running', 'ended'].includes(whereaboutsOf(holder));
  return {
    ...{ id, pid, host, since, leaseSec, renewedMs },
    ...(task && { task }),
    isGone: isGone(holder),
    isElsewhere: !isSeen,
  };
}
