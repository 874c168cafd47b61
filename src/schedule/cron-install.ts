/** Installs jobs in the user's crontab. */
import { UsageError } from '../errors.ts';
import { cronBlock, findBlock, shellCommandOf, withBlock, withoutBlock } from './crontab.ts';
import { assertDone, type Inactive, type Installer } from './installer.ts';
import type { Machine } from './machine.ts';
import { nextMinute } from './rhythm.ts';

const READ_WORDS = ['-l'];

/** Whether the user may have a crontab. */
export async function hasCron(machine: Machine): Promise<boolean> {
  return isReadable(await machine.run('crontab', READ_WORDS));
}

function isReadable({ status, stderr }: { status: number | undefined; stderr: string }): boolean {
  return status === 0 || (status !== undefined && /no crontab/i.test(stderr));
}

/** Jobs as marked lines of the user's crontab. */
export function cronInstaller(machine: Machine): Installer {
  return {
    scheduler: 'cron',
    files: (plan) => [{ shownPlace: 'crontab', text: `${cronBlock(plan).join('\n')}\n` }],
    async install(plan) {
      const block = cronBlock(plan).map(toBytes);
      const before = await readCrontab(machine);
      const after = withBlock(before, plan.name, block);
      if (after !== before) await writeCrontab(machine, after);
      return [
        'cron gives a job almost no environment: write full paths for the programs of a password command.',
      ];
    },
    async remove(name) {
      const read = await machine.run('crontab', READ_WORDS);
      if (read.status === undefined) return false;
      const before = crontabOf(read);
      const after = withoutBlock(before, name);
      if (after === before) return false;
      await writeCrontab(machine, after);
      return true;
    },
    async show(name, nowMs) {
      const read = await machine.run('crontab', READ_WORDS);
      if (read.status === undefined) return undefined;
      const block = findBlock(crontabOf(read), name);
      if (block === undefined) return undefined;
      return {
        places: ['crontab'],
        nextRun: nextMinute(block.minutes, nowMs),
        inactive: await whyInactive(machine),
      };
    },
    async start(name) {
      const block = findBlock(await readCrontab(machine), name);
      if (block === undefined) {
        throw new UsageError('schedule-missing', 'the crontab has no such job', {
          hint: 'Install it: ecsync schedule install',
        });
      }
      const command = Buffer.from(shellCommandOf(block.command), 'latin1').toString();
      const bare = [`HOME=${machine.home}`, 'PATH=/usr/bin:/bin', 'SHELL=/bin/sh'];
      const words = ['-i', ...bare, '/bin/sh', '-c', command];
      const { status } = await machine.run('env', words);
      return {
        shownHow:
          "cron starts nothing on demand, so its line ran in cron's environment, not by cron itself",
        ended: { shownStatus: `exit status ${status ?? 'unknown'}` },
      };
    },
  };
}

/** Names of daemons that run crontabs. */
const DAEMONS: ReadonlySet<string> = new Set(['cron', 'crond', 'bcron-sched', 'fcron', 'cronie']);

/**
 * Checks that something reads the crontab. In containers, and where cron is installed but not
 * started, nothing does. Where processes cannot be listed, assumes that something does.
 */
async function whyInactive(machine: Machine): Promise<Inactive | undefined> {
  const running = machine.programsRunning();
  if (running === undefined || running.some((name) => DAEMONS.has(name))) return undefined;
  // Where systemd replaces the daemon, it reads the crontabs itself (systemd-cron).
  const { status } = await machine.run('systemctl', ['is-active', '--quiet', 'cron.target']);
  return status === 0 ? undefined : NO_DAEMON;
}

const NO_DAEMON: Inactive = {
  reason: 'no cron daemon runs on this machine',
  remedy:
    'Start it, now and at every boot: systemctl enable --now cron (or crond), or what your system uses instead.',
};

/** UTF-8 bytes as latin1, like the rest of a crontab here. */
function toBytes(line: string): string {
  return Buffer.from(line).toString('latin1');
}

async function readCrontab(machine: Machine): Promise<string> {
  return crontabOf(await machine.run('crontab', READ_WORDS));
}

/** Throws unless there is a crontab, or certainly none, so that no existing one is overwritten. */
function crontabOf(result: Awaited<ReturnType<Machine['run']>>): string {
  if (!isReadable(result)) assertDone('crontab', READ_WORDS, result);
  return result.status === 0 ? result.stdout : '';
}

async function writeCrontab(machine: Machine, text: string): Promise<void> {
  if (text === '') {
    assertDone('crontab', ['-r'], await machine.run('crontab', ['-r']));
    return;
  }
  assertDone('crontab', ['-'], await machine.run('crontab', ['-'], text));
}
