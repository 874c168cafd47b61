// Counts system calls by strace: which calls a program made, and how it behaves if one of them
// kills it or fails.
import { existsSync, readFileSync } from 'node:fs';

/** Calls that change files, and calls by which a run waits for others. */
export const CHANGING_CALLS = [
  ...['rename', 'renameat', 'renameat2', 'unlink', 'unlinkat', 'mkdir', 'mkdirat', 'rmdir'],
  ...['link', 'linkat', 'symlink', 'symlinkat', 'fsync', 'fdatasync', 'ftruncate', 'truncate'],
  ...['utimensat', 'chmod', 'fchmod', 'fchmodat', 'chown', 'lchown', 'fchown', 'fchownat'],
  ...['write', 'pwrite64', 'writev', 'pwritev', 'openat', 'close', 'mknod', 'mknodat'],
] as const;

/** Calls that only read. */
export const READING_CALLS = [
  ...['read', 'pread64', 'preadv', 'getdents64', 'stat', 'lstat', 'statx', 'newfstatat'],
  ...['fstat', 'readlink', 'readlinkat', 'statfs', 'fstatfs'],
] as const;

/** One call, by the number that strace counts it with. */
export interface Call {
  readonly name: string;
  /** Its number among the calls of this name in its thread, from 1 on. */
  readonly nth: number;
  readonly text: string;
}

/** A fault at a call. */
export interface Injection {
  readonly call: Call;
  /** `KILL` ends the process. Anything else is the errno that the call returns. */
  readonly effect: string;
  /** From this call on, all calls of its name fail. */
  readonly forGood?: boolean;
}

/** Arguments that run a program under strace. The program's own follow. */
export function straceWords(
  log: string,
  calls: readonly string[],
  injection?: Injection,
): [string, ...string[]] {
  const traced = calls.map((name) => `?${name}`).join(',');
  const words = [
    '-f',
    '-y',
    '-qq',
    '--seccomp-bpf',
    '-s',
    '64',
    '-o',
    log,
    '-e',
    `trace=${traced}`,
  ];
  if (injection === undefined) return ['strace', ...words];
  const { call, effect, forGood } = injection;
  const what = effect === 'KILL' ? 'signal=KILL' : `error=${effect}`;
  const when = `${call.nth}${forGood === true ? '+' : ''}`;
  return ['strace', ...words, '-e', `inject=${call.name}:${what}:when=${when}`];
}

/** Every call in a log, counted by thread. */
function callsIn(log: string): (Call & { readonly isHit: boolean })[] {
  if (!existsSync(log)) return [];
  const counts = new Map<string, number>();
  const calls: (Call & { isHit: boolean })[] = [];
  const last = new Map<string, Call & { isHit: boolean }>();
  for (const line of readFileSync(log, 'latin1').split('\n')) {
    const [, pid = '', rest = ''] = /^(\d+) +(.*)$/.exec(line) ?? [];
    const [, name, text = ''] = /^(\w+)\((.*)$/.exec(rest) ?? [];
    if (name !== undefined) {
      const nth = (counts.get(`${pid} ${name}`) ?? 0) + 1;
      counts.set(`${pid} ${name}`, nth);
      const call = { name, nth, text: text.slice(0, 160), isHit: false };
      calls.push(call);
      last.set(pid, call);
    }
    // A slow call has its end in a line of its own.
    const begun = last.get(pid);
    if (line.includes('(INJECTED)') && begun !== undefined) begun.isHit = true;
  }
  return calls;
}

/** Whether a call concerns only the program itself or the system's files. */
function isForeign({ text }: Call): boolean {
  return /["<]\/(etc|lib|lib64|usr|proc|sys|dev|bin|opt)\//.test(text);
}

/**
 * The calls of a recorded run for which `isWanted` holds. Only numbers that mean the same in every
 * thread that reaches them are returned: strace counts by thread, and the fault hits the first.
 */
function wantedCalls(log: string, isWanted: (call: Call) => boolean): Call[] {
  const calls = callsIn(log);
  const number = ({ name, nth }: Call): string => `${name} ${nth}`;
  const others = new Set(calls.filter((call) => !isWanted(call)).map(number));
  const wanted = calls.filter((call) => isWanted(call) && !others.has(number(call)));
  return [...new Map(wanted.map((call) => [number(call), call])).values()];
}

/**
 * Whether a call concerns an object in a folder, or a connection. The working folder does not
 * count.
 */
export function isAbout(text: string, folder: string): boolean {
  const absolute = /"(\/[^"]*)"/.exec(text)?.[1];
  if (absolute !== undefined) return absolute.startsWith(folder);
  return text.includes(folder) || /<(TCP|socket):/.test(text);
}

/** The calls of a recorded run that concern a folder, or a connection. */
export function callsAbout(log: string, folder: string): Call[] {
  return wantedCalls(log, ({ text }) => isAbout(text, folder));
}

/** The calls of a recorded server, except those that concern the system's own files. */
export function callsOfServer(log: string): Call[] {
  return wantedCalls(log, (call) => !isForeign(call));
}

/** The first call of a run that was made to fail. */
export function failedCall(log: string): { name: string; text: string } | undefined {
  const hit = callsIn(log).find(({ isHit }) => isHit);
  return hit === undefined ? undefined : { name: hit.name, text: hit.text };
}
