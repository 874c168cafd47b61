import type { SchedulePlan } from '../../src/schedule/plan.ts';

/** A plan for golden files; nothing in it depends on this machine. */
export function planWith(changes: Partial<SchedulePlan> = {}): SchedulePlan {
  return {
    name: 'photos-0123456789',
    shownFolder: '/home/ann/My Photos',
    vaultDir: '/home/ann/My Photos/.ecsync',
    rhythm: { kind: 'every', minutes: 15 },
    node: '/usr/bin/node',
    ecsync: '/usr/lib/node_modules/ecsync/dist/bin/ecsync.js',
    remotes: [],
    pushArguments: [],
    isLowPriority: true,
    jitterSec: 225,
    ...changes,
  };
}

/** Every character that is special in one of the formats. */
export const HARD_PLAN: Partial<SchedulePlan> = {
  shownFolder: `/home/ann/100% "ü" & <o'k> $HOME \\`,
  vaultDir: `/home/ann/100% "ü" & <o'k> $HOME \\/.ecsync`,
  rhythm: {
    kind: 'at',
    times: [
      { hour: 2, minute: 30 },
      { hour: 14, minute: 0 },
    ],
  },
  remotes: 'all',
  pushArguments: ['--delete', '--exclude', '*.tmp %n 100%', '--exclude', '\\\\ `id` $(id) ${HOME}'],
  isLowPriority: false,
  jitterSec: 0,
};

/** Windows cannot store text that it would replace. */
export const HARD_WINDOWS_PLAN: Partial<SchedulePlan> = {
  ...HARD_PLAN,
  shownFolder: `C:\\Users\\Ann\\100% ü & o'k\\`,
  vaultDir: `C:\\Users\\Ann\\100% ü & o'k\\.ecsync`,
  node: 'C:\\Program Files\\nodejs\\node.exe',
  ecsync: 'C:\\Users\\Ann\\AppData\\Roaming\\npm\\node_modules\\ecsync\\dist\\bin\\ecsync.js',
  pushArguments: ['--delete', '--exclude', '"quoted" \\', '--exclude', 'a\\\\"b'],
  userId: 'PC\\Ann',
};

/** Parses XML text that other programs write. */
export function unescapeXml(text: string): string {
  return text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&apos;', "'")
    .replaceAll('&amp;', '&');
}
