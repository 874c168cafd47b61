import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import ts from 'typescript';

const root = path.resolve(import.meta.dirname, '../../..');

/**
 * Translates the sources into a folder of their own, as the build does but without checking types,
 * so that children of a test can run them.
 *
 * @returns the folder; `dist/cli/main.js` is in it. The caller removes it.
 */
export function buildSources(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'ecsync-built-'));
  for (const name of readdirSync(path.join(root, 'src'), { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts')) continue;
    const target = path.join(folder, 'dist', name.replace(/\.ts$/, '.js'));
    const source = readFileSync(path.join(root, 'src', name), 'utf8');
    const { outputText } = ts.transpileModule(source, {
      compilerOptions: {
        target: ts.ScriptTarget.ES2023,
        module: ts.ModuleKind.ESNext,
        verbatimModuleSyntax: true,
        rewriteRelativeImportExtensions: true,
      },
    });
    mkdirSync(path.dirname(target), { recursive: true });
    writeFileSync(target, outputText);
  }
  for (const shared of ['node_modules', 'package.json']) {
    symlinkSync(path.join(root, shared), path.join(folder, shared));
  }
  return folder;
}
