/** Writes jobs as property lists of launchd. */
import { jobArguments, phasesOf, type SchedulePlan } from './plan.ts';
import { escapeXml } from './xml.ts';

/** Label of a job, and the name of its file. */
export function launchdLabel(name: string): string {
  return `ecsync.${name}`;
}

/**
 * A launch agent. launchd makes up for calendar times missed during sleep. Runs missed while the
 * machine was off are made up for when the agent is loaded at login. Source: launchd.plist(5).
 *
 * @param logFile - absolute; launchd appends the job's output
 * @throws {UsageError} as `jobArguments`
 */
export function launchdPlist(plan: SchedulePlan, logFile: string): string {
  const { rhythm, searchPath } = plan;
  const moments =
    rhythm.kind === 'every'
      ? phasesOf(plan, rhythm.minutes).map((minute) => dict({ Minute: minute }, 2))
      : rhythm.times.map(({ hour, minute }) => dict({ Hour: hour, Minute: minute }, 2));
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
    '<!-- Made by `ecsync schedule install`; `ecsync schedule remove` removes it. -->',
    '<plist version="1.0">',
    '<dict>',
    ...entry('Label', `<string>${escapeXml(launchdLabel(plan.name))}</string>`),
    '  <key>ProgramArguments</key>',
    '  <array>',
    ...jobArguments(plan, { jitter: true }).map(
      (word) => `    <string>${escapeXml(word)}</string>`,
    ),
    '  </array>',
    ...(searchPath === undefined
      ? []
      : [
          '  <key>EnvironmentVariables</key>',
          '  <dict>',
          '    <key>PATH</key>',
          `    <string>${escapeXml(searchPath)}</string>`,
          '  </dict>',
        ]),
    '  <key>StartCalendarInterval</key>',
    '  <array>',
    ...moments.flat(),
    '  </array>',
    ...entry('RunAtLoad', '<true/>'),
    ...entry(
      'ProcessType',
      plan.isLowPriority ? '<string>Background</string>' : '<string>Standard</string>',
    ),
    ...(plan.isLowPriority
      ? [...entry('LowPriorityIO', '<true/>'), ...entry('Nice', '<integer>10</integer>')]
      : []),
    ...entry('ExitTimeOut', '<integer>60</integer>'),
    ...entry('StandardOutPath', `<string>${escapeXml(logFile)}</string>`),
    ...entry('StandardErrorPath', `<string>${escapeXml(logFile)}</string>`),
    '</dict>',
    '</plist>',
    '',
  ].join('\n');
}

function entry(key: string, value: string): readonly string[] {
  return [`  <key>${key}</key>`, `  ${value}`];
}

function dict(numbers: Readonly<Record<string, number>>, depth: number): readonly string[] {
  const indent = '  '.repeat(depth);
  return [
    `${indent}<dict>`,
    ...Object.entries(numbers).flatMap(([key, value]) => [
      `${indent}  <key>${key}</key>`,
      `${indent}  <integer>${value}</integer>`,
    ]),
    `${indent}</dict>`,
  ];
}
