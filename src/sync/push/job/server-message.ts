/** Translates encrypted paths in a server's messages into plaintext. */
import { CONF_NAME, DIR_IV_NAME, TEMPORARY_DIRECTORY } from '../../../gocryptfs/names/names.ts';
import { showPath } from '../../../tree/file-failure.ts';
import { pathKey, splitPath } from '../../../bytes/paths.ts';

/** The plaintext of an encrypted path. */
export interface TranslatedPath {
  readonly path: Uint8Array;
  /** The path is plaintext. */
  readonly plain: boolean;
  /** The object is a file without plaintext, and the path is that of its folder. */
  readonly virtual: boolean;
}

/** What is known of paths. */
export interface PathKnowledge {
  /** @param path - below the root of the copy */
  tell(path: Uint8Array): TranslatedPath;
  /** The encrypted paths that this push lists. */
  readonly paths: () => Iterable<Uint8Array>;
}

/** Matches an encrypted name with its surroundings. Only a real one can be decrypted. */
const PATH_LIKE = /[A-Za-z0-9_./=-]{22,}/g;
/** A path as rsync quotes it, whatever its folders are called. */
const QUOTED = /"([^"\n]{22,})"/g;
/** rsync's name for a file that is being written. In a folder for such files it has no dot. */
const TEMPORARY_NAME = /(^|\/)\.?([^/]+)\.[A-Za-z0-9]{6}$/;
/** The beginning of a path whose first name is an encrypted name. */
const FIRST_NAME = /^(?:[A-Za-z0-9_-]{22,}={0,2}|gocryptfs\.[^/]+)(?:\/|$)/;

/** Limits searches of the whole list, which cost time, since servers can send anything. */
const SEARCHES_MAX = 100;

const strictUtf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Translates messages that name a file by its path in the copy, by the server's path, by no path at
 * all, or by rsync's temporary name.
 */
export class ServerMessages {
  readonly #known: PathKnowledge;
  /** Encrypted paths by their last names, cached after a search. */
  readonly #found = new Map<string, Uint8Array | undefined>();

  constructor(known: PathKnowledge) {
    this.#known = known;
  }

  inPlaintext(text: string): string {
    return text
      .replace(QUOTED, (found, inside: string) => this.#told(inside, '"') ?? found)
      .replace(PATH_LIKE, (found) => this.#told(found) ?? found);
  }

  /** Skips the server's own path to the copy: only the shortest start leads to a real path. */
  #told(found: string, quote = ''): string | undefined {
    for (let start = 0; start !== -1; start = nextName(found, start)) {
      const path = found.slice(start).replace(TEMPORARY_NAME, '$1$2');
      const told = FIRST_NAME.test(path) ? this.#name(path) : undefined;
      if (told !== undefined) return told.isPath ? `${quote}${told.text}${quote}` : told.text;
    }
    return undefined;
  }

  #name(path: string): Translation | undefined {
    const [first, ...rest] = path.split('/');
    if (first !== TEMPORARY_DIRECTORY) return this.#shown(Buffer.from(path, 'latin1'));
    const last = rest.at(-1) ?? '';
    if (last === '') return described('the folder for temporary files');
    if (last === DIR_IV_NAME) return described('the key file of a folder');
    const known = this.#byLastName(last);
    return known && this.#shown(known);
  }

  /** In the temporary directory only the last name of a path is left. */
  #byLastName(name: string): Uint8Array | undefined {
    if (!this.#found.has(name) && this.#found.size < SEARCHES_MAX) {
      this.#found.set(name, this.#search(Buffer.from(name, 'latin1')));
    }
    return this.#found.get(name);
  }

  /** Without directory IVs, one name may occur in several folders. Then only the name is known. */
  #search(wanted: Buffer): Uint8Array | undefined {
    let found: Uint8Array | undefined;
    for (const path of this.#known.paths()) {
      if (path.length < wanted.length || path.at(-1) !== wanted.at(-1)) continue;
      if (!wanted.equals(splitPath(path).name)) continue;
      if (found !== undefined) return wanted;
      found = path;
    }
    return found;
  }

  #shown(cipherPath: Uint8Array): Translation | undefined {
    const { path, plain, virtual } = this.#known.tell(cipherPath);
    if (!plain || !isText(path) || pathKey(cipherPath) === CONF_NAME) return undefined;
    const shown = showPath(path);
    if (!virtual) return { text: shown, isPath: true };
    const isName = pathKey(cipherPath).endsWith('.name');
    return described(`${isName ? 'the .name file of' : 'the key file of'} ${shown}`);
  }
}

/** The translation of a path: its plaintext, or a description. */
interface Translation {
  readonly text: string;
  readonly isPath: boolean;
}

function described(text: string): Translation {
  return { text, isPath: false };
}

/** Where the next name of a path begins; −1 after the last. */
function nextName(path: string, start: number): number {
  const slash = path.indexOf('/', start);
  return slash === -1 ? -1 : slash + 1;
}

/** A random string that looks like a name decrypts occasionally, but not to valid text. */
function isText(path: Uint8Array): boolean {
  try {
    strictUtf8.decode(path);
    return true;
  } catch {
    return false; // TypeError: not UTF-8. It throws nothing else.
  }
}
