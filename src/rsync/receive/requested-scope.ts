/** Refuses list entries that were not requested (CVE-2022-29154). */
import { ProtocolError } from '../../errors.ts';
import { isDirectory, type Entry } from '../../tree/entry.ts';
import type { Filter } from '../../tree/filter/filter.ts';
import { isRootPath } from '../../bytes/paths.ts';
import { senderFilter, type SenderRule } from '../flist/filter-list.ts';

const SLASH = 0x2f;

/**
 * The scope of a request. A server that lists anything outside it may be hostile (CVE-2022-29154).
 *
 * A path that ends in a slash requests the contents of a folder, which may have any name. For any
 * other path, all entries begin with its last component.
 */
export class RequestedScope {
  /** Names that entries may begin with, as latin1 text; undefined if any name is allowed. */
  readonly #names: ReadonlySet<string> | undefined;
  readonly #filter: Filter | undefined;

  /**
   * @param paths - as given to `senderArgs`
   * @param rules - as sent to the server
   */
  constructor(paths: readonly string[], rules: readonly SenderRule[]) {
    const names = paths.map(nameOf);
    const isOpen = names.length === 0 || names.includes(undefined);
    this.#names = isOpen ? undefined : new Set(names.filter((name) => name !== undefined));
    this.#filter = rules.length === 0 ? undefined : senderFilter(rules);
  }

  /**
   * @throws {ProtocolError} `entry-unasked` — an entry that was not requested, or should be hidden
   */
  assertRequested(entries: readonly Entry[]): void {
    if (this.#names === undefined && this.#filter === undefined) return;
    for (const entry of entries) {
      if (!this.#isNamed(entry.path) || this.#isHidden(entry)) {
        const shown = JSON.stringify(Buffer.from(entry.path).toString('latin1'));
        throw new ProtocolError(
          'entry-unasked',
          `the server lists ${shown}, which was not requested`,
        );
      }
    }
  }

  #isNamed(path: Uint8Array): boolean {
    if (this.#names === undefined) return true;
    const slash = path.indexOf(SLASH);
    const first = slash === -1 ? path : path.subarray(0, slash);
    return this.#names.has(Buffer.from(first).toString('latin1'));
  }

  #isHidden(entry: Entry): boolean {
    if (this.#filter === undefined || isRootPath(entry.path)) return false;
    return this.#filter.verdict(entry.path, isDirectory(entry)) === 'exclude';
  }
}

/**
 * The name that entries of a path begin with; undefined if the path requests contents, or if a
 * shell expands it.
 */
function nameOf(path: string): string | undefined {
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (name === '' || name === '.' || name === '..') return undefined;
  if (name === path && name.startsWith('~')) return undefined;
  return Buffer.from(name).toString('latin1');
}
