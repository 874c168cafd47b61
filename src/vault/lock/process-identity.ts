/**
 * The identity of a process, recorded so that another process can later tell whether it still runs.
 */
import fs from 'node:fs';
import os from 'node:os';
import { errnoOf } from '../../platform.ts';

/** The identity of a process, as it describes itself. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly host: string;
  /**
   * Boot id of the machine and process-id space, where the platform has them; pids are unique
   * within both.
   */
  readonly pidSpace: string;
  /** Start time of the process in the kernel's units, to recognise a reused pid. */
  readonly started: string;
  /** Uptime of the machine at that moment; a smaller uptime later shows that it has rebooted. */
  readonly uptimeSec: number;
}

/**
 * Whether a process still runs. `rebooted`: a machine of the same name has rebooted since, or
 * another machine has that name. `unseen`: it is on another machine or in another container, whose
 * processes are invisible from here.
 */
export type ProcessState = 'running' | 'ended' | 'rebooted' | 'unseen';

/** The current name of this machine or container. */
export function ownHost(): string {
  return os.hostname();
}

/** The identity of this process. */
export function ownIdentity(): ProcessIdentity {
  return {
    pid: process.pid,
    host: os.hostname(),
    pidSpace: pidSpace(),
    started: startOf('self'),
    uptimeSec: Math.floor(os.uptime()),
  };
}

/**
 * Looks for a process. The boot id takes precedence over the host name: a laptop changes its name
 * with the network, and a container can be renamed.
 */
export function processStateOf(wanted: ProcessIdentity): ProcessState {
  const here = pidSpace();
  const [boot = '', space = ''] = wanted.pidSpace.split(' ');
  const [bootHere = '', spaceHere = ''] = here.split(' ');
  const isSameHost = wanted.host === os.hostname();
  if (boot !== '' && bootHere !== '') {
    if (boot !== bootHere) return isSameHost ? 'rebooted' : 'unseen';
    if (space !== spaceHere) return findInContainer(wanted, spaceHere);
    return findHere(wanted);
  }
  if (!isSameHost || wanted.pidSpace !== here) return 'unseen';
  // Without a boot id: the process id may have been reused since.
  return os.uptime() < wanted.uptimeSec ? 'ended' : findHere(wanted);
}

function findHere({ pid, started }: ProcessIdentity): ProcessState {
  try {
    process.kill(pid, 0);
  } catch (error) {
    const isAbsent = errnoOf(error) === 'ESRCH';
    return isAbsent ? 'ended' : 'running';
  }
  return started === '' || started === startOf(String(pid)) ? 'running' : 'ended';
}

/** The process-id space of the machine itself, from which all containers are visible. */
const OUTERMOST_SPACE = 'pid:[4026531836]';

/**
 * Looks for a process of a container by its start time, which counts from the boot in every space.
 */
function findInContainer({ pid, started }: ProcessIdentity, spaceHere: string): ProcessState {
  // If processes of others are hidden, even process 1 is.
  if (spaceHere !== OUTERMOST_SPACE || started === '' || startOf('1') === '') return 'unseen';
  const isRunning = fs
    .readdirSync('/proc')
    .some((name) => /^\d+$/.test(name) && startOf(name) === started && innerPidOf(name) === pid);
  return isRunning ? 'running' : 'ended';
}

/** The id of a process in its own process-id space. */
function innerPidOf(pid: string): number | undefined {
  try {
    const [, pids] = /^NSpid:\s*(.*)$/m.exec(readProc(pid, 'status')) ?? [];
    return pids === undefined ? undefined : Number(pids.split(/\s+/).at(-1));
  } catch {
    return undefined; // It has ended in the meantime.
  }
}

function pidSpace(): string {
  try {
    const boot = fs.readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    return `${boot} ${fs.readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return ''; // Not Linux.
  }
}

/**
 * Field 22 of `/proc/PID/stat`, counted after the command name, which may contain anything; empty
 * for a zombie (state Z or X).
 */
function startOf(pid: string): string {
  try {
    const stat = readProc(pid, 'stat');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return /^[ZX]/.test(fields[0] ?? '') ? '' : (fields[19] ?? '');
  } catch {
    return '';
  }
}

function readProc(pid: string, name: string): string {
  return fs.readFileSync(`/proc/${pid}/${name}`, 'latin1');
}
