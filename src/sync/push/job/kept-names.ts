/** Foreign objects that are kept in a copy: files of the system, and those that `keep` names. */
import type { ReceiverRule } from '../../../rsync/flist/filter-list.ts';
import { Filter, plainRule } from '../../../tree/filter/filter.ts';
import { SYSTEM_PATTERNS } from '../../../tree/filter/system-names.ts';
import type { CopyProblem } from '../../../view/decrypt/decrypted-view-problem.ts';

export class KeptNames {
  /** For a server's delete pass. */
  readonly rules: readonly ReceiverRule[];
  readonly #filter: Filter;

  /** @param patterns - of rsync, for names as the copy has them */
  constructor(patterns: readonly string[] = []) {
    this.rules = [
      ...patterns.map((text): ReceiverRule => ({ action: 'protect', pattern: Buffer.from(text) })),
      // Files of the system are deleted with their folder.
      ...SYSTEM_PATTERNS.map((text): ReceiverRule => ({
        action: 'protect',
        pattern: Buffer.from(text),
        perishable: true,
      })),
    ];
    this.#filter = new Filter(this.rules.map(({ pattern }) => plainRule('exclude', pattern)));
  }

  /** @param path - as the copy has it */
  has(path: Uint8Array, isDirectory: boolean): boolean {
    return this.#filter.verdict(path, isDirectory) === 'exclude';
  }

  /** Whether a problem in a copy is explained by a foreign object that is kept on purpose. */
  explains({ code, cipherPath, kind }: Pick<CopyProblem, 'code' | 'cipherPath' | 'kind'>): boolean {
    if (code !== 'foreign-object' && code !== 'name-invalid') return false;
    return this.has(cipherPath, kind === 'directory');
  }

  /** The same, also for a path below a kept object. */
  holds(path: Uint8Array, isDirectory: boolean): boolean {
    for (let end = path.indexOf(0x2f); end !== -1; end = path.indexOf(0x2f, end + 1)) {
      if (this.has(path.subarray(0, end), true)) return true;
    }
    return this.has(path, isDirectory);
  }
}
