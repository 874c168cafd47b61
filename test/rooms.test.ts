/** The rooms of src/: their table, their size, and the first sentence of each file. */
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '..');
const ROOMS = createRequire(import.meta.url)('../scripts/rooms.cjs') as Record<string, string>;
const FILES_MAX = 30;

/** Paths below src/ of all its files. */
const files = readdirSync(path.join(root, 'src'), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => path.relative(path.join(root, 'src'), path.join(entry.parentPath, entry.name)));

function read(file: string): string {
  return readFileSync(path.join(root, file), 'utf8');
}

describe('the rooms', () => {
  it('are the folders of src/', () => {
    const folders = new Set(files.map((file) => path.dirname(file)).filter((one) => one !== '.'));
    expect([...folders].sort()).toEqual(Object.keys(ROOMS).sort());
  });

  it('hold no more files than one looks through', () => {
    const crowded = Object.keys(ROOMS).filter(
      (room) => files.filter((file) => path.dirname(file) === room).length > FILES_MAX,
    );
    expect(crowded).toEqual([]);
  });

  it('import only rooms above them in the table', () => {
    const back = Object.entries(ROOMS).flatMap(([room, allowed], at, all) =>
      allowed
        .split(' ')
        .filter((one) => one !== '')
        .filter((one) => {
          const isHall = one.endsWith('/*');
          const hall = one.slice(0, -2);
          const meant = all.flatMap(([other], index) =>
            (isHall ? other === hall || other.startsWith(`${hall}/`) : other === one)
              ? [index]
              : [],
          );
          return meant.length === 0 || meant.some((index) => index >= at);
        })
        .map((one) => `${room} > ${one}`),
    );
    expect(back).toEqual([]);
  });

  it('are those of ARCHITECTURE.md, in the same order', () => {
    const told = [...read('ARCHITECTURE.md').matchAll(/^\| `src\/(\S+)\/`/gm)].map(
      ([, room]) => room,
    );
    expect(told).toEqual(Object.keys(ROOMS));
  });
});

describe('every file of src/', () => {
  it('opens with a sentence that says what it is', () => {
    const sources = files.filter((file) => file.endsWith('.ts'));
    const silent = sources.filter(
      (file) => !/^(#!.*\n)?(\/\*\*\s+(\* )?\S|\/\/ \S)/.test(read(path.join('src', file))),
    );
    expect(silent).toEqual([]);
  });
});

/** Names that a file exports, whether it declares them or passes them on. */
function exportsOf(file: string): readonly string[] {
  const source = ts.createSourceFile(file, read(path.join('src', file)), ts.ScriptTarget.Latest);
  return source.statements.flatMap((statement): readonly string[] => {
    if (ts.isExportDeclaration(statement)) {
      const { exportClause } = statement;
      if (exportClause === undefined || !ts.isNamedExports(exportClause)) return ['*'];
      return exportClause.elements.map(({ name }) => name.text);
    }
    const isExported =
      ts.canHaveModifiers(statement) &&
      ts.getModifiers(statement)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) === true;
    if (!isExported) return [];
    if (ts.isVariableStatement(statement)) {
      return statement.declarationList.declarations.map(({ name }) => name.getText(source));
    }
    const { name } = statement as ts.DeclarationStatement;
    return name === undefined ? [] : [name.getText(source)];
  });
}

describe('an exported name', () => {
  // Several declarations of one function are one name.
  const exported = files
    .filter((file) => file.endsWith('.ts') && file !== 'index.ts')
    .flatMap((file) => [...new Set(exportsOf(file))].map((name) => ({ name, file })));

  it('is exported by one file: it means one thing, and is imported from where it is defined', () => {
    const places = new Map<string, string[]>();
    for (const { name, file } of exported) {
      places.set(name, [...(places.get(name) ?? []), file]);
    }
    expect([...places].filter(([, found]) => found.length > 1)).toEqual([]);
  });

  it('is found by this test', () => {
    expect(exported).toContainEqual({ name: 'PUSH_OPTIONS', file: 'options/push-options.ts' });
    expect(exported).toContainEqual({ name: 'joinPath', file: 'bytes/paths.ts' });
    expect(exported.map(({ name }) => name)).not.toContain('*');
  });
});
