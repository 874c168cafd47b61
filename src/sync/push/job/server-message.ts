/** What a server says, with the encrypted paths in it told in plaintext. */
import { CONF_NAME, DIR_IV_NAME, TEMPORARY_DIRECTORY } from '../../../gocryptfs/names/names.ts';
import { showPath } from '../../../tree/file-failure.ts';
import { pathKey, splitPath } from '../../../bytes/paths.ts';

/** What an encrypted path stands for. */
export interface ToldPath {
  readonly path: Uint8Array;
  /** It is plaintext. */
  readonly plain: boolean;
  /** It is a file that has no plaintext; the path is that of its folder. */
  readonly virtual: boolean;
}

/** What is known of paths. */
export interface PathKnowledge {
  /** @param path - below the root of the copy */
  tell(path: Uint8Array): ToldPath;
  /** The encrypted paths that this push lists. */
  readonly paths: () => Iterable<Uint8Array>;
}

/** An encrypted name, with what may stand before and behind it; a real one decrypts, anything else does not. */
const PATH_LIKE = /[A-Za-z0-9_./=-]{22,}/g;
/** A path as rsync writes it, whatever its folders are called. */
const QUOTED = /"([^"\n]{22,})"/g;
/** rsync's name for a file that is being written: in a folder for such files without the dot. */
const TEMPORARY_NAME = /(^|\/)\.?([^/]+)\.[A-Za-z0-9]{6}$/;
/** What an encrypted name begins with that is the first below the root of the copy. */
const FIRST_NAME = /^(?:[A-Za-z0-9_-]{22,}={0,2}|gocryptfs\.[^/]+)(?:\/|$)/;

/** A look through the whole list costs time, and servers say what they like. */
const SEARCHES_MAX = 100;

const strictUtf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Tells messages in plaintext, whether they name the copy by its own path, by the server's, or not at
 * all, and what rsync calls a file while it is written.
 */
export class ServerMessages {
  readonly #known: PathKnowledge;
  /** Encrypted paths by their last names, as they were looked for. */
  readonly #found = new Map<string, Uint8Array | undefined>();

  constructor(known: PathKnowledge) {
    this.#known = known;
  }

  inPlaintext(text: string): string {
    return text
      .replace(QUOTED, (found, inside: string) => this.#told(inside, '"') ?? found)
      .replace(PATH_LIKE, (found) => this.#told(found) ?? found);
  }

  /** The server's path to the copy, of whatever names, goes: only the shortest start leads to a real path. */
  #told(found: string, quote = ''): string | undefined {
    for (let start = 0; start !== -1; start = nextName(found, start)) {
      const path = found.slice(start).replace(TEMPORARY_NAME, '$1$2');
      const told = FIRST_NAME.test(path) ? this.#name(path) : undefined;
      if (told !== undefined) return told.isPath ? `${quote}${told.text}${quote}` : told.text;
    }
    return undefined;
  }

  #name(path: string): Told | undefined {
    const [first, ...rest] = path.split('/');
    if (first !== TEMPORARY_DIRECTORY) return this.#shown(Buffer.from(path, 'latin1'));
    const last = rest.at(-1) ?? '';
    if (last === '') return described('the folder for temporary files');
    if (last === DIR_IV_NAME) return described('the key file of a folder');
    const known = this.#byLastName(last);
    return known && this.#shown(known);
  }

  /** In the folder for temporary files all that is left of a path is its last name. */
  #byLastName(name: string): Uint8Array | undefined {
    if (!this.#found.has(name) && this.#found.size < SEARCHES_MAX) {
      this.#found.set(name, this.#search(Buffer.from(name, 'latin1')));
    }
    return this.#found.get(name);
  }

  /** Where folders have no IV, one name may be in several: then there is nothing but the name. */
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

  #shown(cipherPath: Uint8Array): Told | undefined {
    const { path, plain, virtual } = this.#known.tell(cipherPath);
    if (!plain || !isText(path) || pathKey(cipherPath) === CONF_NAME) return undefined;
    const shown = showPath(path);
    if (!virtual) return { text: shown, isPath: true };
    const isName = pathKey(cipherPath).endsWith('.name');
    return described(`${isName ? 'the .name file of' : 'the key file of'} ${shown}`);
  }
}

/** What a path is told as: itself in plaintext, or what is there. */
interface Told {
  readonly text: string;
  readonly isPath: boolean;
}

function described(text: string): Told {
  return { text, isPath: false };
}

/** Where the next name of a path begins; −1 after the last. */
function nextName(path: string, start: number): number {
  const slash = path.indexOf('/', start);
  return slash === -1 ? -1 : slash + 1;
}

/** What only looks like a name decrypts once in a while, but to no text. */
function isText(path: Uint8Array): boolean {
  try {
    strictUtf8.decode(path);
    return true;
  } catch {
    return false; // TypeError: not UTF-8. It throws nothing else.
  }
}
