/** Jobs as units of systemd, as text. */
import { assertPlain, jobWords, phasesOf, type SchedulePlan } from './plan.ts';
import { formatTime } from './rhythm.ts';

/** Name of the credential inside the service. */
const CREDENTIAL_NAME = 'ecsync-password';

/** `ecsync-NAME.service`, `ecsync-NAME.timer` */
export function unitName(name: string, kind: 'service' | 'timer'): string {
  return `ecsync-${name}.${kind}`;
}

/**
 * One word of `ExecStart=` in systemd's quoting: double quotes, C escapes, `%` doubled against
 * specifiers. A dollar needs nothing, because the command is marked with `:`. Source: systemd.syntax(7), systemd.service(5).
 */
export function quoteSystemd(word: string): string {
  const escaped = word.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%');
  return `"${escaped}"`;
}

/** Text of a setting that takes a whole line, such as `Description=`. */
function plainValue(text: string): string {
  return text.replaceAll('%', '%%').replace(/\\$/, '\\ ');
}

/**
 * A user service that asks whether a push is due, and pushes.
 *
 * @throws {UsageError} as {@link jobWords}
 */
export function systemdService(plan: SchedulePlan): string {
  const { credential } = plan;
  assertPlain(plan.shownFolder);
  const [program = '', ...rest] = programWords(plan).map(quoteSystemd);
  // `:` switches the substitution of $VARIABLES off, also for the program's own path.
  const command = [`":${program.slice(1)}`, ...rest];
  if (credential !== undefined) {
    if (plan.pushWords.length === 0) command.push('--');
    command.push('--passfile', `"%d/${CREDENTIAL_NAME}"`);
  }
  return [
    '# Made by `ecsync schedule install`; `ecsync schedule remove` takes it away.',
    '[Unit]',
    `Description=ecsync push of ${plainValue(plan.shownFolder)}`,
    '',
    '[Service]',
    '# Runs to its end; the timer never starts it a second time meanwhile.',
    'Type=oneshot',
    `ExecStart=${command.join(' ')}`,
    '# 11: another push is running. 75: the disk of the folder is not there.',
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
    '# Only what leaves agents (sockets in /tmp and /run), keys in the home folder and setuid bits of a local copy alone.',
    'NoNewPrivileges=yes',
    '# A dump of the memory would hold keys.',
    'LimitCORE=0',
    'LockPersonality=yes',
    'RestrictRealtime=yes',
    'SystemCallArchitectures=native',
    '',
  ].join('\n');
}

/** systemd starts no program with quotes or backslashes in its path; a shell does that for it. */
function programWords(plan: SchedulePlan): readonly string[] {
  const words = jobWords(plan);
  return /["'\\]/.test(plan.node) ? ['/bin/sh', '-c', 'exec "$0" "$@"', ...words] : words;
}

function credentialLine(file: string, isEncrypted: boolean): string {
  assertPlain(file);
  const setting = isEncrypted ? 'LoadCredentialEncrypted' : 'LoadCredential';
  // Everything after the colon is the path as it is, without quotes.
  return `${setting}=${CREDENTIAL_NAME}:${plainValue(file)}`;
}

/** The timer of {@link systemdService}. It makes up for what was missed while the machine was off. */
export function systemdTimer(plan: SchedulePlan): string {
  const { rhythm, jitterSec } = plan;
  return [
    '# Made by `ecsync schedule install`; `ecsync schedule remove` takes it away.',
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
