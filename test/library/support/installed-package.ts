/** The package as npm packs it, installed beside a program without a network. */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, '../../..');
/** An optional companion of one of the packages, for the checking of types. */
const NOT_NEEDED = new Set(['typescript']);

/** Compiles, packs and unpacks the package, and puts what it needs beside it. */
export async function installPackage(consumer: string): Promise<void> {
  const staging = path.join(consumer, 'staging');
  mkdirSync(staging, { recursive: true });
  const { files } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
    readonly files: readonly string[];
  };
  for (const name of ['package.json', ...files.filter((one) => one !== 'dist')]) {
    cpSync(path.join(root, name), path.join(staging, name), { recursive: true });
  }
  const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
  const build = ['-p', path.join(root, 'tsconfig.build.json')];
  await run(process.execPath, [tsc, ...build, '--outDir', path.join(staging, 'dist')]);
  const packing = ['pack', '--json', '--ignore-scripts', '--offline'];
  const { stdout } = await run('npm', [...packing, '--pack-destination', consumer], {
    cwd: staging,
    env: { ...process.env, npm_config_cache: path.join(consumer, 'npm-cache') },
    maxBuffer: 16 * 1024 * 1024,
  });
  const [packed] = JSON.parse(stdout) as readonly { readonly filename: string }[];
  const modules = path.join(consumer, 'node_modules');
  const installed = path.join(modules, 'ecsync');
  mkdirSync(installed, { recursive: true });
  const tarball = path.join(consumer, packed?.filename ?? '');
  await run('tar', ['-xzf', tarball, '-C', installed, '--strip-components=1']);
  for (const name of [...(await productionPackages()), '@types/node', 'undici-types']) {
    const from = path.join(root, 'node_modules', name);
    if (existsSync(from)) cpSync(from, path.join(modules, name), { recursive: true });
  }
}

async function productionPackages(): Promise<readonly string[]> {
  const listing = ['ls', '--omit=dev', '--all', '--parseable', '--offline'];
  // It also says by its exit code what it thinks of optional packages.
  const { stdout } = await run('npm', listing, { cwd: root }).catch(
    (error: unknown) => error as { readonly stdout: string },
  );
  return stdout
    .split('\n')
    .map((folder) => path.relative(path.join(root, 'node_modules'), folder))
    .filter((name) => name !== '' && !name.startsWith('..') && !NOT_NEEDED.has(name));
}
