import { UsageError } from '../../errors.ts';

/**
 * The value of `--layout`.
 *
 * @throws {UsageError} `not-in-this-release`, `layout-unknown`
 */
export function parseLayout(name: string): 'gcm' {
  if (name === 'gcm') return name;
  if (name === 'reverse' || name === 'xchacha') {
    throw new UsageError(
      'not-in-this-release',
      `--layout ${name} is not in this release of ecsync`,
      {
        hint: 'Leave it out: gcm is what a plain `gocryptfs -init` makes.',
      },
    );
  }
  throw new UsageError('layout-unknown', `there is no layout '${name}'`, { hint: 'Use gcm.' });
}
