/** What a first push says of files with several names, when nobody asked to keep these together. */
import type { PushJob } from './job/push-job.ts';

/** Costs a look at what the scan knows already. Of names outside of the vault there is nothing to keep. */
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
