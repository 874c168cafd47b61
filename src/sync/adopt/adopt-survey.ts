/** Surveys a copy: its layout, its identities and its damage. */
import { setImmediate } from 'node:timers/promises';
import type { Conf } from '../../gocryptfs/conf/config.ts';
import { openLayout, type Derivation, type Layout } from '../../gocryptfs/layout.ts';
import { DIR_IV_LENGTH } from '../../gocryptfs/format/limits.ts';
import { CONF_NAME, DIR_IV_NAME_BYTES, NAME_FILE_SUFFIX } from '../../gocryptfs/names/names.ts';
import { isDirectory, isSymlink, type Entry, type Tree } from '../../tree/entry.ts';
import { DecryptedView } from '../../view/decrypt/decrypted-view.ts';
import type { PlainEntry } from '../../view/plain-entry.ts';
import { readSmallFile } from '../../view/decrypt/decrypted-view-listing.ts';
import type { CopyProblem } from '../../view/decrypt/decrypted-view-problem.ts';
import { IdentityCheck } from '../../view/decrypt/identity-check.ts';
import { InheritedIndex, type InheritedKind } from '../../view/inherited.ts';
import { joinPath, pathKey, splitPath } from '../../bytes/paths.ts';
import { recogniseDerivation, reverseDirIV, type CopyTree } from '../copy/derivation.ts';
import {
  adoptFindingOf,
  wrongDerivedDirIV,
  wrongDirIV,
  type AdoptFinding,
} from './adopt-finding.ts';
import { KeyProof } from './adopt-key-proof.ts';
import { MendedTree } from './adopt-mended-tree.ts';
import { structureKey } from '../push/source/structure-key.ts';

/** Directories surveyed between two turns of the event loop. */
const DIRECTORIES_PER_TURN = 64;

const NAME_FILE_SUFFIX_BYTES = Buffer.from(NAME_FILE_SUFFIX);
const NO_DIR_IV = Buffer.alloc(DIR_IV_LENGTH);

/** A copy, and what is needed to read it. */
export interface SurveyJob<C extends Entry> {
  readonly copy: CopyTree<C>;
  readonly conf: Conf;
  readonly confBytes: Uint8Array;
  readonly masterkey: Uint8Array;
  /** Nothing has proved yet that the key belongs to the copy. */
  readonly isKeyUnproven: boolean;
  /**
   * Plaintext names in a directory of the source, by its plaintext path. They identify damaged
   * names.
   */
  readonly namesInSource: (plainPath: Uint8Array) => Promise<readonly Uint8Array[]>;
  /** Accept folders that have the IVs of others. Default: that is damage. */
  readonly keepsMisplaced?: boolean | undefined;
  readonly onCount: (objects: number) => void;
  readonly signal: AbortSignal;
}

/** The result of a survey. */
export interface Survey {
  readonly derivation: Derivation;
  /** Only in layout `reverse`: how much younger virtual files are than their objects. */
  readonly timeShiftSec?: 0 | 10;
  /** Number of virtual files of layout `reverse` with any other time. */
  readonly oddTimes: number;
  /** Only if identities are ecsync's own: the identities that the copy has and keeps. */
  readonly index?: InheritedIndex;
  readonly findings: readonly AdoptFinding[];
  /** Intact structural objects, as keys of a push state. */
  readonly structure: ReadonlySet<number>;
  /** Readable plaintext objects, without the root. */
  readonly objects: number;
}

/**
 * Reads a copy's structure from end to end: its layout, what a vault that continues it must know,
 * and its damage.
 *
 * @throws {PasswordError} `wrong-masterkey` — nothing in the copy was written with this key
 * @throws {FileError} a part of the copy could not be read
 */
export async function surveyCopy<C extends Entry>(job: SurveyJob<C>): Promise<Survey> {
  const derivation = await recogniseDerivation(job.copy, job.conf, job.signal);
  const layout = openLayout(job.conf, job.masterkey, derivation);
  return new Surveyor(job, layout, derivation).run();
}

class Surveyor<C extends Entry> {
  readonly #job: SurveyJob<C>;
  readonly #layout: Layout;
  readonly #derivation: Derivation;
  readonly #mended: MendedTree<C>;
  readonly #view: DecryptedView<C>;
  readonly #index = new InheritedIndex();
  readonly #findings: AdoptFinding[] = [];
  readonly #structure = new Set<number>();
  /** Number of virtual files by how many seconds they are younger than their objects. */
  readonly #shifts = { 0: 0, 10: 0, other: 0 };
  /** Problems of the directory that is being listed. */
  #problems: CopyProblem[] = [];
  readonly #proof = new KeyProof<C>();
  /** Paths of damaged virtual files. */
  readonly #damaged = new Set<string>();
  #objects = 0;

  constructor(job: SurveyJob<C>, layout: Layout, derivation: Derivation) {
    this.#job = job;
    this.#layout = layout;
    this.#derivation = derivation;
    const isReverse = derivation === 'reverse' && layout.names.hasDirIVs;
    this.#mended = new MendedTree(job.copy, isReverse ? reverseDirIV : undefined);
    this.#view = new DecryptedView(this.#mended, layout, {
      onProblem: (problem) => this.#problems.push(problem),
      // Wrong derived IVs are repaired, and reported apart from others.
      ...(derivation === 'keyed' &&
        job.keepsMisplaced !== true && { identities: new IdentityCheck(layout) }),
    });
  }

  async run(): Promise<Survey> {
    const { signal, onCount } = this.#job;
    const pending = [await this.#view.root()];
    this.#knowStructure(Buffer.from(CONF_NAME), this.#job.confBytes);
    for (let count = 0; ; count++) {
      const directory = pending.pop();
      if (directory === undefined) break;
      if (count % DIRECTORIES_PER_TURN === 0) await setImmediate();
      signal.throwIfAborted();
      for (const child of await this.#lookInto(directory)) {
        if (isDirectory(child)) pending.push(child);
      }
      onCount(this.#objects);
    }
    if (this.#job.isKeyUnproven) await this.#proof.give(this.#view, this.#job.copy, this.#findings);
    return this.#result();
  }

  async #lookInto(directory: PlainEntry<C>): Promise<readonly PlainEntry<C>[]> {
    const cipherFiles = await this.#nameLookup(directory);
    let children = await this.#list(directory);
    const mended = await this.#mendNames(directory, await this.#dirIVOf(directory));
    if (mended) children = await this.#list(directory);
    await this.#noteDirectory(directory, cipherFiles);
    this.#noteProblems(directory, children.length);
    for (const child of children) this.#noteChild(child, cipherFiles);
    this.#objects += children.length;
    return children;
  }

  #list(directory: PlainEntry<C>): Promise<readonly PlainEntry<C>[]> {
    this.#problems = [];
    return this.#view.children(directory);
  }

  /** The stored diriv and `.name` files of a directory, by the key of their path. */
  async #nameLookup(directory: PlainEntry<C>): Promise<ReadonlyMap<string, C>> {
    if (this.#layout.names.isPlain) return new Map();
    const stored = await this.#job.copy.children(directory.cipher);
    const isOwn = ({ path }: C): boolean => {
      const kind = this.#layout.names.kindOf(splitPath(path).name);
      return kind === 'diriv' || kind === 'name-file';
    };
    return new Map(stored.filter(isOwn).map((entry) => [pathKey(entry.path), entry]));
  }

  /** The IV under which names in a directory are encrypted. Undefined if it is lost. */
  async #dirIVOf(directory: PlainEntry<C>): Promise<Uint8Array | undefined> {
    const { names } = this.#layout;
    if (!names.hasDirIVs) return NO_DIR_IV;
    if (directory.contentUnknown === true) return undefined;
    if (this.#derivation === 'reverse') return reverseDirIV(directory.cipher.path);
    const path = joinPath(directory.cipher.path, DIR_IV_NAME_BYTES);
    const file = await findChild(this.#job.copy, directory.cipher, path);
    return file && readSmallFile(this.#job.copy, file, DIR_IV_LENGTH);
  }

  /** Finds hashed names without their `.name` file among the names of the source. */
  async #mendNames(directory: PlainEntry<C>, dirIV: Uint8Array | undefined): Promise<boolean> {
    const lost = this.#problems.filter(
      ({ code }) => code === 'name-file-missing' || code === 'name-file-invalid',
    );
    if (lost.length === 0 || dirIV === undefined) return false;
    const wanted = new Map(lost.map((problem) => [pathKey(problem.cipherPath), problem]));
    let count = 0;
    for (const plainName of await this.#job.namesInSource(directory.path)) {
      const { name, fullName } = this.#layout.names.encryptName(plainName, dirIV);
      const problem = wanted.get(pathKey(joinPath(directory.cipher.path, name)));
      if (problem === undefined || fullName === undefined) continue;
      const cipherPath = Buffer.concat([problem.cipherPath, NAME_FILE_SUFFIX_BYTES]);
      const plainPath = joinPath(directory.path, plainName);
      this.#mended.mendNameFile(cipherPath, fullName);
      this.#damaged.add(pathKey(cipherPath));
      this.#findings.push({ ...adoptFindingOf(problem), mending: 'repair', cipherPath, plainPath });
      count += 1;
    }
    return count > 0;
  }

  async #noteDirectory(directory: PlainEntry<C>, files: ReadonlyMap<string, C>): Promise<void> {
    this.#knowStructure(directory.cipher.path);
    if (!this.#layout.names.hasDirIVs) return;
    const path = joinPath(directory.cipher.path, DIR_IV_NAME_BYTES);
    const file = files.get(pathKey(path));
    const bytes = file && (await readSmallFile(this.#job.copy, file, DIR_IV_LENGTH));
    if (this.#derivation === 'reverse') {
      const isRight = bytes && Buffer.compare(bytes, reverseDirIV(directory.cipher.path)) === 0;
      if (isRight !== true) {
        this.#findings.push(wrongDerivedDirIV(directory.path, path, file === undefined));
        return;
      }
    } else if (bytes === undefined || directory.contentUnknown === true) return;
    else this.#index.setDirIV(directory.path, bytes);
    if (file !== undefined) this.#noteVirtual('diriv', directory, file);
  }

  #noteChild(child: PlainEntry<C>, files: ReadonlyMap<string, C>): void {
    const { path, cipher } = child;
    if (this.#layout.names.kindOf(splitPath(cipher.path).name) === 'long') {
      const nameFilePath = Buffer.concat([cipher.path, NAME_FILE_SUFFIX_BYTES]);
      const file = files.get(pathKey(nameFilePath));
      const isDamaged = this.#damaged.has(pathKey(nameFilePath));
      if (file !== undefined && !isDamaged) this.#noteVirtual('name', child, file);
    }
    if (isSymlink(cipher) && cipher.target !== undefined && !this.#layout.names.isPlain) {
      if (this.#derivation === 'keyed') this.#index.setTarget(path, cipher.target);
    }
    this.#proof.consider(child);
  }

  /** Records an intact virtual file, which stays as it is. */
  #noteVirtual(kind: InheritedKind, object: PlainEntry<C>, file: C): void {
    this.#knowStructure(file.path);
    if (this.#derivation === 'keyed') this.#index.setVirtualAttributes(kind, object.path, file);
    else {
      const shift = file.mtimeSec - object.mtimeSec;
      this.#shifts[shift === 0 || shift === 10 ? shift : 'other'] += 1;
    }
  }

  #noteProblems(directory: PlainEntry<C>, childCount: number): void {
    const [unreadable] = this.#problems.filter(({ code }) => code === 'unreadable');
    if (unreadable !== undefined) throw unreadable.error;
    const isName = ({ code }: CopyProblem): boolean =>
      code === 'name-invalid' || code === 'name-file-invalid';
    const isWrong = childCount === 0 && this.#layout.names.hasDirIVs && this.#problems.some(isName);
    if (isWrong && this.#derivation === 'keyed') {
      const path = joinPath(directory.cipher.path, DIR_IV_NAME_BYTES);
      this.#findings.push(wrongDirIV(directory.path, path));
    }
    for (const problem of this.#problems) {
      if (problem.code === 'temporary-directory' || (isWrong && isName(problem))) continue;
      this.#findings.push(adoptFindingOf(problem));
    }
  }

  #knowStructure(cipherPath: Uint8Array, version?: Uint8Array): void {
    this.#structure.add(structureKey(cipherPath, version));
  }

  #result(): Survey {
    const isReverse = this.#derivation === 'reverse';
    const { 0: none, 10: ten, other } = this.#shifts;
    const timeShiftSec = none > ten ? 0 : 10;
    return {
      derivation: this.#derivation,
      ...(isReverse ? { timeShiftSec } : { index: this.#index }),
      oddTimes: isReverse ? other + (timeShiftSec === 0 ? ten : none) : 0,
      findings: this.#findings,
      structure: this.#structure,
      objects: this.#objects,
    };
  }
}

async function findChild<C extends Entry>(
  tree: Tree<C>,
  directory: C,
  path: Uint8Array,
): Promise<C | undefined> {
  const { name } = splitPath(path);
  if (tree.child !== undefined) return tree.child(directory, name);
  const children = await tree.children(directory);
  return children.find((entry) => Buffer.compare(entry.path, path) === 0);
}
