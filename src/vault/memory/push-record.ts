/** Records of complete pushes and scheduled runs in the state of a vault. */
import { stateKey, readState, writeState, dropState } from './state.ts';

/*
 * Three small records in a vault's state, each a JSON object:
 *   KEY-done           per destination: the last complete push
 *   schedule-outcome   how the last scheduled run ended
 *   schedule-request   a request for a scheduled run, due or not
 * Like all state they may vanish at any time; then a push is due.
 */
const OUTCOME_KEY = 'schedule-outcome';
const REQUEST_KEY = 'schedule-request';
/** Drop older requests. */
const REQUEST_AGE_MAX_MS = 3_600_000;
const MESSAGE_MAX = 1000;
const PUSHES_MAX = 1000;

/** How one push of a scheduled run ended. */
export interface ScheduledPush {
  /** Name of the remote, or its destination. */
  readonly remote: string;
  readonly exitCode: number;
  readonly message?: string;
}

/** How the last scheduled run that pushed ended. Times are milliseconds since 1970. */
export interface ScheduleOutcome {
  readonly startedMs: number;
  readonly endedMs: number;
  readonly exitCode: number;
  readonly pushes: readonly ScheduledPush[];
  /** The request that it answered. */
  readonly requestId?: string;
}

/**
 * Records a complete push to a destination.
 *
 * @param startedMs - start of the push, milliseconds since 1970
 * @throws {FileError} `state-not-written`
 */
export function noteFullPush(vaultDir: string, shownDestination: string, startedMs: number): void {
  write(vaultDir, doneKey(shownDestination), { startedMs });
}

/** Start of the last complete push to a destination; undefined: never, or unknown. */
export function lastFullPush(vaultDir: string, shownDestination: string): number | undefined {
  const startedMs = read(vaultDir, doneKey(shownDestination)).get('startedMs');
  return typeof startedMs === 'number' && Number.isFinite(startedMs) ? startedMs : undefined;
}

function doneKey(shownDestination: string): string {
  return `${stateKey(shownDestination)}-done`;
}

/** @throws {FileError} `state-not-written` */
export function writeOutcome(vaultDir: string, outcome: ScheduleOutcome): void {
  write(vaultDir, OUTCOME_KEY, {
    ...outcome,
    pushes: outcome.pushes.map(({ message, ...push }) => ({
      ...push,
      ...(message === undefined ? {} : { message: message.slice(0, MESSAGE_MAX) }),
    })),
  });
}

/** Inverse of {@link writeOutcome}; undefined when it is missing or damaged. */
export function readOutcome(vaultDir: string): ScheduleOutcome | undefined {
  const record = read(vaultDir, OUTCOME_KEY);
  const [startedMs, endedMs, exitCode] = ['startedMs', 'endedMs', 'exitCode'].map((key) =>
    record.get(key),
  );
  const pushes = record.get('pushes');
  const requestId = record.get('requestId');
  if (
    typeof startedMs !== 'number' ||
    typeof endedMs !== 'number' ||
    typeof exitCode !== 'number' ||
    !Array.isArray(pushes)
  ) {
    return undefined;
  }
  return {
    startedMs,
    endedMs,
    exitCode,
    pushes: pushes.slice(0, PUSHES_MAX).flatMap(readPush),
    ...(typeof requestId === 'string' ? { requestId } : {}),
  };
}

function readPush(value: unknown): readonly ScheduledPush[] {
  if (typeof value !== 'object' || value === null) return [];
  const { remote, exitCode, message } = value as Partial<Record<keyof ScheduledPush, unknown>>;
  if (typeof remote !== 'string' || typeof exitCode !== 'number') return [];
  return [{ remote, exitCode, ...(typeof message === 'string' ? { message } : {}) }];
}

/**
 * Requests that the next scheduled run pushes, due or not.
 *
 * @throws {FileError} `state-not-written`
 */
export function requestRun(vaultDir: string, id: string, nowMs: number): void {
  write(vaultDir, REQUEST_KEY, { id, atMs: nowMs });
}

/** Returns the pending request, and removes it. */
export function takeRequest(vaultDir: string, nowMs: number): string | undefined {
  const record = read(vaultDir, REQUEST_KEY);
  if (record.size === 0) return undefined;
  dropState(vaultDir, REQUEST_KEY);
  const [id, atMs] = [record.get('id'), record.get('atMs')];
  if (typeof id !== 'string' || typeof atMs !== 'number') return undefined;
  return Math.abs(nowMs - atMs) <= REQUEST_AGE_MAX_MS ? id : undefined;
}

/** Withdraws a request. */
export function dropRequest(vaultDir: string): void {
  dropState(vaultDir, REQUEST_KEY);
}

function write(vaultDir: string, key: string, record: object): void {
  writeState(vaultDir, key, Buffer.from(JSON.stringify(record)));
}

function read(vaultDir: string, key: string): ReadonlyMap<string, unknown> {
  const bytes = readState(vaultDir, key);
  if (bytes === undefined) return new Map();
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString());
    return new Map(Object.entries(typeof value === 'object' && value !== null ? value : {}));
  } catch {
    return new Map(); // written by another version: treated as missing
  }
}
