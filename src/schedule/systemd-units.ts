/** Writes jobs as units of systemd. */
import { assertPlain, jobArguments, phasesOf, type SchedulePlan } from './plan.ts';
import { formatTime } from './rhythm.ts';

/** Name of the credential in the service. */
const CREDENTIAL_NAME = 'ecsync-password';

/** `ecsync-NAME.service`, `ecsync-NAME.timer` */
export function unitName(name: string, kind: 'service' | 'timer'): string {
  return `ecsync-${name}.${kind}`;
}

/**
 * One word of `ExecStart=` in systemd's quoting: double quotes, C escapes, and `%` doubled, since
 * it starts specifiers. A dollar needs no quoting, because the command is marked with `:`. Source:
 * systemd.syntax(7), systemd.service(5).
 */
export function quoteSystemd(word: string): string {
  const escaped = word.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%');
  return `"${escaped}"`;
}

/** Text for a setting that takes a whole line, such as `Description=`. */
function plainValue(text: string): string {
  return text.replaceAll('%', '%%').replace(/\\$/, '\\ ');
}

/**
 * A user service that checks whether a push is due, and pushes.
 *
 * @throws {UsageError} as {@link jobArguments}
 */
export function systemdService(plan: SchedulePlan): string {
  const { credential } = plan;
  assertPlain(plan.shownFolder);
  const [program = '', ...rest] = programArguments(plan).map(quoteSystemd);
  // `:` turns off the substitution of $VARIABLES, including in the program's own path.
  const command = [`":${program.slice(1)}`, ...rest];
  if (credential !== undefined) {
    if (plan.pushArguments.length === 0) command.push('--');
    command.push('--passfile', `"%d/${CREDENTIAL_NAME}"`);
  }
  return [
    '# Made by `ecsync schedule install`; `ecsync schedule remove` removes it.',
    '[Unit]',
    `Description=ecsync push of ${plainValue(plan.shownFolder)}`,
    '',
    '[Service]',
    '# It runs to its end; until then the timer does not start it again.',
    'Type=oneshot',
    `ExecStart=${command.join(' ')}`,
    '# 11: another push is running. 75: a push is not possible now, for example because a disk is missing.',
    'SuccessExitStatus=11 75',
    'TimeoutStartSec=infinity',
    ...(plan.isLowPriority
      ? [
          'Nice=10',
          'CPUSchedulingPolicy=batch',
          'IOSchedulingClass=best-effort',
          'IOSchedulingPriority=7',
        ]
      : []),
    ...(credential === undefined ? [] : [credentialLine(credential.file, credential.isEncrypted)]),
    '# Nothing here may affect agents (sockets in /tmp and /run), keys in the home folder or setuid bits of a local copy.',
    'NoNewPrivileges=yes',
    '# A core dump would hold keys.',
    'LimitCORE=0',
    'LockPersonality=yes',
    'RestrictRealtime=yes',
    'SystemCallArchitectures=native',
    '',
  ].join('\n');
}

/** systemd starts no program with quotes or backslashes in its path, so a shell does it. */
function programArguments(plan: SchedulePlan): readonly string[] {
  const words = jobArguments(plan);
  return /["'\\]/.test(plan.node) ? ['/bin/sh', '-c', 'exec "$0" "$@"', ...words] : words;
}

function credentialLine(file: string, isEncrypted: boolean): string {
  assertPlain(file);
  const setting = isEncrypted ? 'LoadCredentialEncrypted' : 'LoadCredential';
  // Everything after the colon is the literal path, without quotes.
  return `${setting}=${CREDENTIAL_NAME}:${plainValue(file)}`;
}

/** The timer of {@link systemdService}. It makes up for runs missed while the machine was off. */
export function systemdTimer(plan: SchedulePlan): string {
  const { rhythm, jitterSec } = plan;
  return [
    '# Made by `ecsync schedule install`; `ecsync schedule remove` removes it.',
    '[Unit]',
    `Description=ecsync push of ${plainValue(plan.shownFolder)}`,
    '',
    '[Timer]',
    ...(rhythm.kind === 'every'
      ? [`OnCalendar=*-*-* *:${minuteList(phasesOf(plan, rhythm.minutes))}:00`]
      : rhythm.times.map((time) => `OnCalendar=*-*-* ${formatTime(time)}:00`)),
    'Persistent=true',
    'AccuracySec=30s',
    ...(jitterSec > 0 ? [`RandomizedDelaySec=${jitterSec}s`] : []),
    '',
    '[Install]',
    'WantedBy=timers.target',
    '',
  ].join('\n');
}

function minuteList(minutes: readonly number[]): string {
  return minutes.map((minute) => String(minute).padStart(2, '0')).join(',');
}
