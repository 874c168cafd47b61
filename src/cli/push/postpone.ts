/** Checks the conditions of a push before it starts, and sets its priority. */
import type { PushCommandOptions } from '../settings/push-options.ts';
import type { Host } from '../frame/host.ts';
import type { CommandResult } from '../frame/report.ts';

/** Whether the conditions keep a push from starting. Otherwise sets its priority. */
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
