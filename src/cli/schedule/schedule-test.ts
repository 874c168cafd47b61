/**
 * The command `schedule test`: starts an installed job through its scheduler and reports how its
 * push ended.
 */
import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { UsageError } from '../../errors.ts';
import { pause } from '../../interruption.ts';
import { parseDuration } from '../../schedule/rhythm.ts';
import type { StartedJob } from '../../schedule/installer.ts';
import {
  dropRequest,
  readOutcome,
  requestRun,
  type ScheduleOutcome,
} from '../../vault/memory/push-record.ts';
import type { JobOptions } from '../settings/schedule-options.ts';
import type { Host } from '../frame/host.ts';
import type { CommandResult } from '../frame/report.ts';
import { findJobs, jobPlaceOf, outcomeLines } from './schedule-jobs.ts';
import { shownText } from '../terminal/terminal.ts';

const POLL_MS = 250;

/**
 * `schedule test`: starts the installed job through its scheduler and reports how its push ended.
 *
 * @returns the push's exit code
 * @throws {UsageError} `schedule-missing`, `schedule-silent` — the job ended or timed out without a
 *   report; `scheduler-missing`, `scheduler-failed`
 */
export async function testJob(host: Host, options: JobOptions): Promise<CommandResult> {
  const waitMs = parseDuration(options.wait ?? '15m', '--wait') * 60_000;
  const place = jobPlaceOf(host, options);
  const [found] = await findJobs(host, place, options.platform);
  if (found === undefined) {
    throw new UsageError('schedule-missing', 'no schedule is installed for this vault', {
      hint: 'Install one: ecsync schedule install --every 1h',
    });
  }
  const { installer, job } = found;
  const id = randomBytes(12).toString('hex');
  requestRun(place.vaultDir, id, Date.now());
  try {
    const started = await installer.start(place.name);
    if (!host.out.mode.json) host.out.note(shownText(`Started: ${started.shownHow}.`));
    const outcome = await waitForOutcome(host, { vaultDir: place.vaultDir, id, waitMs, started });
    if (job.inactive !== undefined && !host.out.mode.json) {
      host.out.note(`The job works, but nothing starts it: ${job.inactive.reason}.`);
      host.out.note(`hint: ${job.inactive.remedy}`);
    }
    return report(host, outcome, started);
  } finally {
    dropRequest(place.vaultDir);
  }
}

async function waitForOutcome(
  { signal }: Host,
  job: {
    readonly vaultDir: string;
    readonly id: string;
    readonly waitMs: number;
    readonly started: StartedJob;
  },
): Promise<ScheduleOutcome> {
  const { vaultDir, id, waitMs, started } = job;
  const endMs = performance.now() + waitMs;
  for (;;) {
    const outcome = readOutcome(vaultDir);
    if (outcome?.requestId === id) return outcome;
    if (started.ended !== undefined) {
      throw new UsageError(
        'schedule-silent',
        `the job ended without a push (${started.ended.shownStatus})`,
        {
          hint: 'See what it printed (with systemd: journalctl --user -e), and install it again: ecsync or node may have moved.',
        },
      );
    }
    if (performance.now() >= endMs) {
      throw new UsageError('schedule-silent', 'the job has not reported yet', {
        hint: 'A first push takes its time: wait longer with --wait 2h, or look later with ecsync schedule show.',
      });
    }
    await pause(POLL_MS, signal);
  }
}

function report({ out }: Host, outcome: ScheduleOutcome, { shownHow }: StartedJob): CommandResult {
  if (out.mode.json) out.event({ type: 'schedule-test', how: shownHow, run: outcome });
  else for (const line of outcomeLines(outcome)) out.data(line);
  const { exitCode, pushes } = outcome;
  if (exitCode === 0) return { exitCode };
  const bad = pushes.find((push) => push.exitCode !== 0);
  const message = bad?.message ?? `exit code ${exitCode}`;
  return {
    exitCode,
    error: {
      code: 'scheduled-push-failed',
      message: `the scheduled push failed: ${message}`,
      hint: 'What works by hand may fail in a schedule: no terminal to ask on, no ssh agent, fewer programs in PATH.',
    },
  };
}
