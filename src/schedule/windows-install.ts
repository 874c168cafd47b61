/** Installs jobs in the Task Scheduler of Windows. */
import { assertDone, type Installer } from './installer.ts';
import type { Machine, ProgramResult } from './machine.ts';
import { encodeTask, taskPath, windowsTask } from './windows-task.ts';

/** Jobs in the Task Scheduler: `\ecsync\NAME`. */
export function windowsInstaller(machine: Machine): Installer {
  const schtasks = (...words: readonly string[]): Promise<ProgramResult> =>
    machine.run('schtasks', words);
  return {
    scheduler: 'windows',
    files: (plan) => {
      const text = windowsTask(plan);
      return [
        { shownPlace: `Task Scheduler ${taskPath(plan.name)}`, text, bytes: encodeTask(text) },
      ];
    },
    async install(plan) {
      await machine.withTemporary(encodeTask(windowsTask(plan)), async (file) => {
        const words = ['/Create', '/TN', taskPath(plan.name), '/XML', file, '/F'];
        assertDone('schtasks', words, await schtasks(...words));
      });
      return ['The task runs while you are logged in.'];
    },
    async remove(name) {
      if ((await query(schtasks, name)) === undefined) return false;
      const words = ['/Delete', '/TN', taskPath(name), '/F'];
      assertDone('schtasks', words, await schtasks(...words));
      return true;
    },
    async show(name) {
      const line = await query(schtasks, name);
      if (line === undefined) return undefined;
      // "\ecsync\NAME","21.11.2026 10:07:00","Ready", in the language of the system
      const next = line.split('","')[1];
      return {
        places: [taskPath(name)],
        ...(next === undefined ? {} : { nextRun: next }),
      };
    },
    async start(name) {
      const words = ['/Run', '/TN', taskPath(name)];
      assertDone('schtasks', words, await schtasks(...words));
      return { shownHow: ['schtasks', ...words].join(' ') };
    },
  };
}

/**
 * One CSV line about a task; undefined when there is none, for which schtasks has no status of its
 * own.
 */
async function query(
  schtasks: (...words: readonly string[]) => Promise<ProgramResult>,
  name: string,
): Promise<string | undefined> {
  const words = ['/Query', '/TN', taskPath(name), '/FO', 'CSV', '/NH'];
  const result = await schtasks(...words);
  if (result.status === undefined) assertDone('schtasks', words, result);
  const [line = ''] = result.status === 0 ? result.stdout.trim().split('\n') : [];
  return line === '' ? undefined : line;
}
