/** Whether this process keeps to code that takes the same time whatever its keys are. */

let isRequired = false;

/**
 * From now on, AES-GCM is left to OpenSSL, a block at a time, which is about half as fast: the quick way
 * (`gcm-blocks.ts`) looks things up in tables, and others who run programs on the same processor could
 * see in its caches where. For the whole process, because a part of it that was forgotten would undo it.
 */
export function requireConstantTime(): void {
  isRequired = true;
}

export function isConstantTimeRequired(): boolean {
  return isRequired;
}
