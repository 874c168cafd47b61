/** Writes jobs as tasks of the Windows Task Scheduler. */
import { UsageError } from '../errors.ts';
import { assertPlain, jobArguments, phasesOf, type SchedulePlan } from './plan.ts';
import { formatTime, pollMinutes } from './rhythm.ts';
import { escapeXml } from './xml.ts';

/** Path of a task in the Task Scheduler library. */
export function taskPath(name: string): string {
  return `\\ecsync\\${name}`;
}

/**
 * One word of a command line as `CommandLineToArgvW` parses it: in quotes, with a backslash before
 * each quote inside, and backslashes doubled before any quote.
 *
 * @throws {UsageError} `schedule-word-invalid` — the Task Scheduler would replace part of it:
 *   `%NAME%`, `$(NAME)`; these cannot be escaped
 */
export function quoteWindows(word: string): string {
  if (/%[^%"]+%|\$\(/.test(word)) {
    throw new UsageError(
      'schedule-word-invalid',
      `${JSON.stringify(word)} cannot be written into a task: Windows would replace part of it`,
      { hint: 'Use paths and options without %NAME% and $(.' },
    );
  }
  return `"${word.replace(/(\\*)"/g, '$1$1\\"').replace(/(\\+)$/, '$1$1')}"`;
}

/** A day in the past: only the time of day matters. */
const FIRST_DAY = '2026-01-01';

/**
 * A task for the Task Scheduler, version 1.2 of its schema. It makes up for missed runs, runs on
 * battery, has no time limit, and never runs twice at once. `conhost --headless` prevents a window.
 * Source: [MS-TSCH] 2.5; the schema prescribes the order inside a trigger.
 *
 * @throws {UsageError} `schedule-word-invalid`
 */
export function windowsTask(plan: SchedulePlan): string {
  const words = jobArguments(plan).map(quoteWindows);
  assertPlain(plan.shownFolder);
  return [
    '<?xml version="1.0" encoding="UTF-16"?>',
    '<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">',
    '  <RegistrationInfo>',
    `    <Description>ecsync push of ${escapeXml(plan.shownFolder)}. Made by ecsync schedule install.</Description>`,
    `    <URI>${escapeXml(taskPath(plan.name))}</URI>`,
    '  </RegistrationInfo>',
    '  <Triggers>',
    ...triggers(plan),
    '  </Triggers>',
    '  <Principals>',
    '    <Principal id="Author">',
    ...(plan.userId === undefined ? [] : [`      <UserId>${escapeXml(plan.userId)}</UserId>`]),
    '      <LogonType>InteractiveToken</LogonType>',
    '      <RunLevel>LeastPrivilege</RunLevel>',
    '    </Principal>',
    '  </Principals>',
    '  <Settings>',
    '    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>',
    '    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>',
    '    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>',
    '    <AllowHardTerminate>true</AllowHardTerminate>',
    '    <StartWhenAvailable>true</StartWhenAvailable>',
    '    <RunOnlyIfNetworkAvailable>false</RunOnlyIfNetworkAvailable>',
    '    <AllowStartOnDemand>true</AllowStartOnDemand>',
    '    <Enabled>true</Enabled>',
    '    <Hidden>false</Hidden>',
    '    <RunOnlyIfIdle>false</RunOnlyIfIdle>',
    '    <WakeToRun>false</WakeToRun>',
    '    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>',
    `    <Priority>${plan.isLowPriority ? 7 : 5}</Priority>`,
    '  </Settings>',
    '  <Actions Context="Author">',
    '    <Exec>',
    '      <Command>%SystemRoot%\\System32\\conhost.exe</Command>',
    `      <Arguments>${escapeXml(['--headless', ...words].join(' '))}</Arguments>`,
    '    </Exec>',
    '  </Actions>',
    '</Task>',
    '',
  ].join('\r\n');
}

/** The file for `schtasks /Create /XML`: UTF-16, little-endian, with a byte order mark. */
export function encodeTask(xml: string): Buffer {
  return Buffer.from(`\ufeff${xml}`, 'utf16le');
}

function triggers(plan: SchedulePlan): readonly string[] {
  const { rhythm } = plan;
  if (rhythm.kind === 'at') {
    return rhythm.times.flatMap((time) => trigger(plan, `${formatTime(time)}:00`, []));
  }
  const [first = 0] = phasesOf(plan, rhythm.minutes);
  return trigger(plan, `00:${String(first).padStart(2, '0')}:00`, [
    '      <Repetition>',
    `        <Interval>PT${pollMinutes(rhythm.minutes)}M</Interval>`,
    '        <Duration>P1D</Duration>',
    '        <StopAtDurationEnd>false</StopAtDurationEnd>',
    '      </Repetition>',
  ]);
}

function trigger(
  { jitterSec }: SchedulePlan,
  timeOfDay: string,
  repetition: readonly string[],
): readonly string[] {
  return [
    '    <CalendarTrigger>',
    '      <Enabled>true</Enabled>',
    `      <StartBoundary>${FIRST_DAY}T${timeOfDay}</StartBoundary>`,
    ...repetition,
    ...(jitterSec > 0 ? [`      <RandomDelay>PT${jitterSec}S</RandomDelay>`] : []),
    '      <ScheduleByDay>',
    '        <DaysInterval>1</DaysInterval>',
    '      </ScheduleByDay>',
    '    </CalendarTrigger>',
  ];
}
