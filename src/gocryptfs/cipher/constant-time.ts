/** Whether this process must use only code whose duration is independent of its keys. */

let isRequired = false;

/**
 * From now on, AES-GCM uses OpenSSL, one block at a time, which is about half as fast. The quick
 * way (`gcm-blocks.ts`) uses lookup tables, so other programs on the same processor could learn
 * from its caches which entries were read. This applies to the whole process, since one forgotten
 * part would undo it.
 */
export function requireConstantTime(): void {
  isRequired = true;
}

export function isConstantTimeRequired(): boolean {
  return isRequired;
}
