/** The holder of a lock: its JSON line in the lock file, and whether it still exists. */
import { randomBytes } from 'node:crypto';
import { ownIdentity, processStateOf, type ProcessIdentity } from './process-identity.ts';

/** The purpose of a lock. */
export interface LockTask {
  /** `push`, `verify`, `key passwd` */
  readonly command: string;
  /** Canonical text of the destination. */
  readonly destination?: string;
}

/** A holder as the lock file describes it. */
export interface Holder extends ProcessIdentity {
  /** Unique for every acquisition, so that successive holders cannot be confused. */
  readonly id: string;
  /** ISO 8601, for people. */
  readonly since: string;
  /** The lock expires this long after its last renewal, if nothing else tells; 0: never. */
  readonly leaseSec: number;
  readonly task?: LockTask;
  /** Last renewal, by the file's mtime: milliseconds since 1970. Not in the file. */
  readonly renewedMs?: number;
}

/** The holder of a lock, as seen from this process. */
export interface ObservedHolder {
  readonly id: string;
  /** 0: the lock file is unreadable. */
  readonly pid: number;
  readonly host: string;
  /** ISO 8601; empty when unknown. */
  readonly since: string;
  readonly task?: LockTask;
  /** Certainly gone: its process has ended, the machine has rebooted, or its lease has expired. */
  readonly isGone: boolean;
  /** On another machine or in another container, whose processes are invisible from here. */
  readonly isElsewhere: boolean;
  /** For a holder that is invisible: 0 when it does not renew its lock. */
  readonly leaseSec: number;
  /** Last renewal, by the file's mtime: milliseconds since 1970. */
  readonly renewedMs: number;
}

/** No process is delayed longer than this, except by a machine that sleeps. */
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

/** @returns for an unreadable text, a holder with process id 0 */
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
 * Whether a holder no longer runs.
 *
 * @param nowMs - the time of the disk with the lock; this machine's time, where that is unknown
 */
export function isGone(holder: Holder, nowMs: number = Date.now()): boolean {
  if (holder.pid === 0) return true;
  const state = processStateOf(holder);
  if (state === 'running' || state === 'ended') return state === 'ended';
  if (holder.leaseSec === 0) return state === 'rebooted';
  const { renewedMs } = holder;
  return renewedMs !== undefined && nowMs - renewedMs > holder.leaseSec * 1000;
}

/** Describes a holder, without asking its disk for the time. */
export function observeHolder(holder: Holder): ObservedHolder {
  const { id, pid, host, since, task, leaseSec, renewedMs = 0 } = holder;
  const isSeen = pid === 0 || ['running', 'ended'].includes(processStateOf(holder));
  return {
    ...{ id, pid, host, since, leaseSec, renewedMs },
    ...(task && { task }),
    isGone: isGone(holder),
    isElsewhere: !isSeen,
  };
}
