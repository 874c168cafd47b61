/** Notes on a first push without `-H` that hard-linked files are stored separately. */
import type { PushJob } from './job/push-job.ts';

/**
 * Counts hard-linked files with what the scan has collected. Names outside of the vault do not
 * matter.
 */
export function noteLinkedFiles({ settings, snapshot, context }: PushJob): void {
  if (settings.hardLinks) return;
  const files = new Set<number>();
  for (const { plain } of snapshot.entries) {
    if (plain?.linkGroup !== undefined) files.add(plain.linkGroup);
  }
  if (files.size === 0) return;
  const what = files.size === 1 ? '1 file has' : `${files.size} files have`;
  context.ledger.note(
    'hard-links',
    `${what} several names (hard links), and each is stored as a file of its own; -H keeps them together`,
  );
}
