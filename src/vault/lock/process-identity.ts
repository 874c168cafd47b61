/** Who a process is, written down so that another one can tell later whether it still runs. */
import fs from 'node:fs';
import os from 'node:os';
import { errnoOf } from '../../platform.ts';

/** A process, as itself says. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly host: string;
  /** Boot of the machine and process-id space, where the platform tells; pids mean nothing beyond. */
  readonly pidSpace: string;
  /** Start of the process in the kernel's own units, so that a reused pid is not taken for it. */
  readonly started: string;
  /** Seconds that the machine had been running then: with fewer it was started anew since. */
  readonly uptimeSec: number;
}

/**
 * Whether a process still runs. `rebooted`: a machine of the same name has been started anew since, or
 * it is another one of that name. `unseen`: it is on another machine or in another container, whose
 * processes cannot be seen from here.
 */
export type Whereabouts = 'running' | 'ended' | 'rebooted' | 'unseen';

/** What this machine, or container, is called now. */
export function ownHost(): string {
  return os.hostname();
}

/** The process that asks. */
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
 * Looks for a process. The name of the boot comes before that of the host: a laptop changes its name
 * with the network, and a container has the name that it was given last.
 */
export function whereaboutsOf(sought: ProcessIdentity): Whereabouts {
  const here = pidSpace();
  const [boot = '', space = ''] = sought.pidSpace.split(' ');
  const [bootHere = '', spaceHere = ''] = here.split(' ');
  const isSameHost = sought.host === os.hostname();
  if (boot !== '' && bootHere !== '') {
    if (boot !== bootHere) return isSameHost ? 'rebooted' : 'unseen';
    if (space !== spaceHere) return lookFromOutside(sought, spaceHere);
    return lookFor(sought);
  }
  if (!isSameHost || sought.pidSpace !== here) return 'unseen';
  // Where there is no name of the boot: a process id may have gone to another program since.
  return os.uptime() < sought.uptimeSec ? 'ended' : lookFor(sought);
}

function lookFor({ pid, started }: ProcessIdentity): Whereabouts {
  try {
    process.kill(pid, 0);
  } catch (error) {
    const isAbsent = errnoOf(error) === 'ESRCH';
    return isAbsent ? 'ended' : 'running';
  }
  return started === '' || started === startOf(String(pid)) ? 'running' : 'ended';
}

/** The process-id space of the machine itself, from which those of all containers can be seen. */
const OUTERMOST_SPACE = 'pid:[4026531836]';

/** Looks for a process of a container: the moment of its start counts from the boot in every space. */
function lookFromOutside({ pid, started }: ProcessIdentity, spaceHere: string): Whereabouts {
  // Where the processes of others are hidden, not even the first one can be looked at.
  if (spaceHere !== OUTERMOST_SPACE || started === '' || startOf('1') === '') return 'unseen';
  const isThere = fs
    .readdirSync('/proc')
    .some((name) => /^\d+$/.test(name) && startOf(name) === started && innerPidOf(name) === pid);
  return isThere ? 'running' : 'ended';
}

/** What a process is called in its own process-id space. */
function innerPidOf(pid: string): number | undefined {
  try {
    const [, pids] = /^NSpid:\s*(.*)$/m.exec(readProc(pid, 'status')) ?? [];
    return pids === undefined ? undefined : Number(pids.split(/\s+/).at(-1));
  } catch {
    return undefined; // It has ended meanwhile.
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
 * Field 22 of `/proc/PID/stat`, counted after the command name, which may contain anything; empty for
 * what only waits to be buried (state Z or X).
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
