/** Reports folders that were read without their `gocryptfs.diriv`: only the first few by name. */

/** Limits the number of named folders. After a power cut there may be many. */
export const LOST_DIR_IVS_SHOWN = 10;

/** @returns undefined if all of them were named */
export function furtherLostDirIVs(count: number): string | undefined {
  const further = count - LOST_DIR_IVS_SHOWN;
  if (further <= 0) return undefined;
  const folders = further === 1 ? '1 more folder is' : `${further} more folders are`;
  return `the gocryptfs.diriv of ${folders} lost or damaged, and was not needed; \`ecsync fsck\` names them all`;
}
