import type { PushCommandOptions } from './commands/push-options.ts';
import type { Host } from './host.ts';
import type { CommandResult } from './report.ts';

/** Whether the conditions keep a push from starting; one that starts gets its priority. */
export async function postpone(
  host: Host,
  options: PushCommandOptions,
): Promise<CommandResult | undefined> {
  const { skipOnBattery, skipOnMetered, lowPriority } = options;
  if (skipOnBattery !== true && skipOnMetered !== true && lowPriority !== true) return undefined;
  const { lowerPriority, notNow } = await import('./conditions.ts');
  if (lowPriority === true) lowerPriority(host);
  return notNow(host, options);
}
