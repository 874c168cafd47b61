/** Collects proof that a master key belongs to a copy. */
import { PasswordError, type IntegrityError } from '../../errors.ts';
import { isRegularFile, isSymlink, type Entry } from '../../tree/entry.ts';
import type { DecryptedView } from '../../view/decrypt/decrypted-view.ts';
import type { PlainEntry } from '../../view/plain-entry.ts';
import type { CopyTree } from '../copy/derivation.ts';
import type { AdoptFinding } from './adopt-finding.ts';

/** How many files may prove a key, smallest first, and how large they may be, encrypted. */
const FILES_MAX = 3;
const FILE_LENGTH_MAX = 1024 * 1024;

/** Findings that a wrong key would cause. */
const UNDECRYPTED: ReadonlySet<string> = new Set([
  'diriv-wrong',
  'name-invalid',
  'name-file-invalid',
  'target-invalid',
]);

/**
 * Proves that a master key is that of a copy. Names prove it only by chance, but a symlink's target
 * and a file's blocks are authenticated.
 */
export class KeyProof<C extends Entry> {
  #files: PlainEntry<C>[] = [];
  #objects = 0;
  #hasLink = false;

  /** Offers each object of the copy that could be decrypted. */
  consider(object: PlainEntry<C>): void {
    const { cipher } = object;
    this.#objects += 1;
    if (isSymlink(cipher) && cipher.target !== undefined && object.target !== cipher.target) {
      this.#hasLink = true;
    }
    if (!isRegularFile(cipher) || cipher.size === 0 || cipher.size > FILE_LENGTH_MAX) return;
    const largest = this.#files.at(-1);
    if (this.#files.length >= FILES_MAX && largest && largest.size <= object.size) return;
    this.#files = [...this.#files, object].sort((a, b) => a.size - b.size).slice(0, FILES_MAX);
  }

  /**
   * Reads some small files. A copy without any proves nothing against a key.
   *
   * @throws {PasswordError} `wrong-masterkey`
   */
  async give(
    view: DecryptedView<C>,
    copy: CopyTree<C>,
    findings: readonly AdoptFinding[],
  ): Promise<void> {
    if (this.#hasLink) return;
    const isUndecrypted = findings.some(({ code }) => UNDECRYPTED.has(code));
    if (this.#files.length === 0 && (this.#objects > 0 || !isUndecrypted)) return;
    const ciphers = this.#files.map(({ cipher }) => cipher);
    await copy.prefetch?.(ciphers, FILE_LENGTH_MAX);
    for (const file of this.#files) if (await isAuthentic(view, file)) return;
    throw new PasswordError('wrong-masterkey', 'this is not the master key of this copy', {
      hint: 'Compare it with the recovery sheet.',
    });
  }
}

async function isAuthentic<C extends Entry>(
  view: DecryptedView<C>,
  entry: PlainEntry<C>,
): Promise<boolean> {
  const file = await view.open(entry);
  const damage: IntegrityError[] = [];
  try {
    await file.inspect(({ error }) => damage.push(error));
  } finally {
    await file.close();
  }
  return damage.length === 0;
}
