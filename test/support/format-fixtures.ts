import { readFileSync } from 'node:fs';
import type { FeatureFlag } from '../../src/gocryptfs/conf/feature-flags.ts';
import type { KeyInfo } from '../../src/gocryptfs/cipher/sub-keys.ts';

type KeyName = keyof typeof KeyInfo;

/** One filesystem written by stock gocryptfs. */
export interface StockFilesystem {
  readonly conf: Readonly<Record<string, unknown>> & { readonly FeatureFlags: readonly string[] };
  readonly password: string;
  readonly masterkey: string;
  readonly root_diriv?: string;
  readonly eme_key?: string;
  readonly content_key: string;
  readonly names?: Readonly<
    Record<string, string | { readonly disk: string; readonly name_file: string }>
  >;
  readonly files: Readonly<Record<string, { readonly hex?: string; readonly sha256: string }>>;
  readonly symlink?: { readonly plain: string; readonly disk: string };
  readonly dir?: Readonly<Record<string, string>>;
}

export interface FormatTables {
  readonly hkdf: readonly {
    readonly masterkey: string;
    readonly info: KeyName;
    readonly key: string;
  }[];
  readonly scrypt: readonly {
    readonly password: string;
    readonly salt: string;
    readonly logN: number;
    readonly r: number;
    readonly p: number;
    readonly kek: string;
  }[];
  readonly eme: readonly Readonly<Record<'key' | 'tweak' | 'plain' | 'cipher', string>>[];
  readonly nameLengths: readonly (readonly [number, number, number])[];
  readonly sizes: readonly (readonly [number, number])[];
}

export interface Derivations {
  readonly masterkey: string;
  readonly subKeys: Readonly<Partial<Record<KeyName, string>>>;
  readonly confSeals: readonly {
    readonly flags: readonly FeatureFlag[];
    readonly longNameMax: number;
    readonly seal: string;
  }[];
  readonly identities: readonly {
    readonly path: string;
    readonly counter: number;
    readonly fileID: string;
    readonly dirIV: string;
    readonly linkID: string;
  }[];
  readonly names: readonly {
    readonly directory: string;
    readonly plain: string;
    readonly name: string;
    readonly fullName?: string;
  }[];
  readonly blocks: readonly {
    readonly blockNo: number;
    readonly fileID: string;
    readonly plain: string;
    readonly sealed: string;
  }[];
  readonly files: readonly {
    readonly path: string;
    readonly patternLength: number;
    readonly cipherLength: number;
    readonly sha256: string;
  }[];
  readonly sparseFiles: readonly {
    readonly path: string;
    readonly patternLength: number;
    readonly zerosFrom: number;
    readonly zerosTo: number;
    readonly sha256: string;
  }[];
  readonly symlinks: readonly {
    readonly path: string;
    readonly plain: string;
    readonly target: string;
  }[];
}

/** A file of `fixtures/format/`, as bytes. */
export function readFixture(name: string): Buffer {
  return readFileSync(new URL(`../../fixtures/format/${name}`, import.meta.url));
}

export function stockFilesystems(): readonly (readonly [string, StockFilesystem])[] {
  const text = readFixture('stock-filesystems.json').toString();
  return Object.entries(JSON.parse(text) as Record<string, StockFilesystem>);
}

export function formatTables(): FormatTables {
  return JSON.parse(readFixture('tables.json').toString()) as FormatTables;
}

export function derivations(): Derivations {
  return JSON.parse(readFixture('derivations.json').toString()) as Derivations;
}

export function hex(text: string): Buffer {
  return Buffer.from(text, 'hex');
}

/** Bytes 0, 1, … 250, 0, 1, …: the content of the files in the fixtures. */
export function pattern(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) bytes[i] = i % 251;
  return bytes;
}
