/** The tamper table: what each command says about a copy that somebody has changed, measured. */
import { execFile, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { differences } from '../e2e/support/compare.ts';
import { Dice } from './copy-damage.ts';
import { pattern } from './format-fixtures.ts';
import { SPARSE, SPARSE_BLOCKS, SPARSE_FIRST, SPARSE_SECOND } from './tamper-holes.ts';
import { MUTATIONS } from './tamper-mutations.ts';
import type { TamperedCopy } from './tampered-copy.ts';

export type TamperLayout = 'gcm' | 'xchacha' | 'reverse';

/** Who looks at the copy. `clone` knows nothing but the password, `stock` is `gocryptfs -fsck`. */
export const TAMPER_COMMANDS = ['fsck', 'restore', 'verify', 'clone', 'stock'] as const;
export type TamperCommand = (typeof TAMPER_COMMANDS)[number];

/**
 * `detected`: by the exit code. `told`: it succeeded, with a warning that the whole copy does not bring.
 * `harmless`: nothing said, and what was restored is what was pushed. `silent`: none of these.
 */
export type TamperOutcome = 'detected' | 'told' | 'harmless' | 'silent';

/** One mutation of one copy. */
export interface TamperRow {
  readonly layout: TamperLayout;
  /** A key of `MUTATIONS`; `nothing` for the copy as it was pushed. */
  readonly mutation: string;
  readonly outcomes: Readonly<Partial<Record<TamperCommand, TamperOutcome>>>;
}

/** What is run, and how. */
export interface TamperTable {
  readonly seed: number;
  readonly layouts: readonly TamperLayout[];
  readonly onRow: (row: TamperRow) => void;
  /** Compiled command line: `dist/bin/ecsync.js` of a build. */
  readonly cli: string;
  /** Default all. */
  readonly mutations?: readonly string[];
  readonly commands?: readonly TamperCommand[];
}

const PASSWORD = 'correct horse battery staple';
const BLOCK_LENGTHS: Readonly<Record<TamperLayout, number>> = {
  gcm: 4128,
  reverse: 4128,
  xchacha: 4136,
};
const LONG_AGO = new Date('2026-03-01T12:00:00Z');

/**
 * Pushes a copy in each layout and changes it in every way, each time from the whole one.
 *
 * @throws when a command that must succeed does not
 */
export async function runTamperTable(table: TamperTable): Promise<void> {
  const { seed, layouts, onRow, mutations = Object.keys(MUTATIONS) } = table;
  for (const layout of layouts) {
    const bench = await Bench.make(layout, table.cli);
    try {
      for (const mutation of ['nothing', ...mutations]) {
        const dice = new Dice(seed ^ hash(`${layout} ${mutation}`));
        onRow({ layout, mutation, outcomes: await bench.try(mutation, dice, table.commands) });
      }
    } finally {
      bench.remove();
    }
  }
}

/** The table as text: per command how many mutations had which outcome, then what was not detected. */
export function tamperReport(rows: readonly TamperRow[]): string {
  const tampered = rows.filter(({ mutation }) => mutation !== 'nothing');
  const lines = TAMPER_COMMANDS.flatMap((command) => {
    const outcomes = tampered.flatMap(({ outcomes: found }) => found[command] ?? []);
    if (outcomes.length === 0) return [];
    const count = (wanted: TamperOutcome): string =>
      `${outcomes.filter((one) => one === wanted).length} ${wanted}`;
    const counts = (['detected', 'told', 'harmless', 'silent'] as const).map(count);
    return [`${command.padEnd(8)} of ${outcomes.length}: ${counts.join(', ')}`];
  });
  for (const command of TAMPER_COMMANDS) {
    for (const outcome of ['silent', 'told'] as const) {
      const names = tampered.filter((row) => row.outcomes[command] === outcome);
      const shown = names.map(({ layout, mutation }) => `${mutation} (${layout})`);
      if (shown.length > 0) lines.push(`${command}, ${outcome}: ${shown.join('; ')}`);
    }
  }
  return lines.join('\n');
}

interface CommandEnd {
  readonly code: number;
  readonly stderr: string;
}

function run(program: string, words: readonly string[]): Promise<CommandEnd> {
  // Stock makes its mountpoint for -fsck where temporary files go, which in the campaign is one folder only.
  const { PATH } = process.env;
  const env = { PATH, HOME: '/nonexistent', LC_ALL: 'C.UTF-8', TMPDIR: tmpdir() };
  return new Promise((resolve) => {
    execFile(program, words, { cwd: '/', env, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, stderr: stderr || stdout });
    });
  });
}

/** A vault, its copy after a second push, and the copy after the first one. */
class Bench {
  readonly #dir: string;
  readonly #cli: string;
  readonly #block: number;
  #places: ReadonlyMap<string, string> = new Map();
  /** What each command warns of when nothing was changed. */
  readonly #usual = new Map<TamperCommand, readonly string[]>();

  private constructor(dir: string, cli: string, block: number) {
    this.#dir = dir;
    this.#cli = cli;
    this.#block = block;
  }

  static async make(layout: TamperLayout, cli: string): Promise<Bench> {
    const dir = fs.mkdtempSync(path.join(tmpdir(), 'ecsync-tamper-'));
    const bench = new Bench(dir, cli, BLOCK_LENGTHS[layout]);
    fs.writeFileSync(bench.#at('passfile'), `${PASSWORD}\n`, { mode: 0o600 });
    writeFirst(bench.#at('source'));
    const source = bench.#at('source');
    await bench.#must('init', source, '--scryptn', '10', '--layout', layout);
    await bench.#must('remote', 'add', 'origin', bench.#at('copy'), '-C', source);
    await bench.#must('push', '-C', source);
    execFileSync('cp', ['-a', bench.#at('copy'), bench.#at('earlier')]);
    const gone = await bench.#places_(listTree(source));
    writeSecond(source);
    await bench.#must('push', '--delete', '-C', source);
    execFileSync('cp', ['-a', bench.#at('copy'), bench.#at('pristine')]);
    bench.#places = new Map([...gone, ...(await bench.#places_(listTree(source)))]);
    return bench;
  }

  /** Changes the copy and has every command look at it. */
  async try(
    mutation: string,
    dice: Dice,
    commands: readonly TamperCommand[] = TAMPER_COMMANDS,
  ): Promise<TamperRow['outcomes']> {
    const copy = this.#at('copy');
    fs.rmSync(copy, { recursive: true });
    execFileSync('cp', ['-a', this.#at('pristine'), copy]);
    const stored = (plainPath: string): string => {
      const place = this.#places.get(plainPath);
      if (place === undefined) throw new Error(`${plainPath} is nowhere in the copy`);
      return place;
    };
    const tampered: TamperedCopy = {
      folder: copy,
      earlier: this.#at('earlier'),
      block: this.#block,
      stored,
      dice,
    };
    MUTATIONS[mutation]?.(tampered);
    if (!mutation.startsWith('the time of')) this.#giveFoldersTheirTimes();
    const outcomes: Partial<Record<TamperCommand, TamperOutcome>> = {};
    for (const command of commands) {
      const end = await this.#run(command);
      if (mutation === 'nothing') this.#usual.set(command, warningsOf(end));
      outcomes[command] = this.#judge(command, end);
    }
    return outcomes;
  }

  /** Changes inside a folder show in its time, unless whoever makes them sets it back. */
  #giveFoldersTheirTimes(): void {
    for (const name of ['', ...listTree(this.#at('pristine'))]) {
      const was = fs.statSync(path.join(this.#at('pristine'), name), { throwIfNoEntry: false });
      const folder = path.join(this.#at('copy'), name);
      const is = fs.lstatSync(folder, { throwIfNoEntry: false });
      if (was?.isDirectory() !== true || is?.isDirectory() !== true) continue;
      fs.utimesSync(folder, was.atimeMs / 1000, was.mtimeMs / 1000);
    }
  }

  remove(): void {
    fs.rmSync(this.#dir, { recursive: true, force: true });
  }

  #run(command: TamperCommand): Promise<CommandEnd> {
    const [source, copy, target] = [this.#at('source'), this.#at('copy'), this.#at('target')];
    fs.rmSync(target, { recursive: true, force: true });
    switch (command) {
      case 'fsck':
      case 'verify':
        return this.#ecsync(command, '-C', source);
      case 'restore':
        return this.#ecsync('restore', '--to', target, '-C', source);
      case 'clone':
        return this.#ecsync('clone', copy, target);
      case 'stock':
        return run('gocryptfs', this.#stockWords());
    }
  }

  #judge(command: TamperCommand, end: CommandEnd): TamperOutcome {
    if (end.code !== 0) return 'detected';
    const usual = this.#usual.get(command) ?? [];
    if (warningsOf(end).some((line) => !usual.includes(line))) return 'told';
    if (command !== 'restore' && command !== 'clone') return 'silent';
    const ignore = ['.ecsync'];
    const found = differences(this.#at('source'), this.#at('target'), { ignore });
    return found.every((one) => one.includes('extra ".ecsync"')) ? 'harmless' : 'silent';
  }

  #stockWords(): readonly string[] {
    return ['-q', '-nosyslog', '-fsck', '-passfile', this.#at('passfile'), this.#at('copy')];
  }

  #at(name: string): string {
    return path.join(this.#dir, name);
  }

  #ecsync(...words: readonly string[]): Promise<CommandEnd> {
    return run(process.execPath, [this.#cli, ...words, ...this.#secret(words)]);
  }

  #secret([command]: readonly string[]): readonly string[] {
    return command === 'remote' ? [] : ['--passfile', this.#at('passfile')];
  }

  async #must(...words: readonly string[]): Promise<void> {
    const { code, stderr } = await this.#ecsync(...words);
    if (code !== 0) throw new Error(`ecsync ${words.join(' ')}: exit code ${code}: ${stderr}`);
  }

  /** Where plaintext paths are in the copy. */
  async #places_(plainPaths: readonly string[]): Promise<Map<string, string>> {
    const words = ['name', 'encode', ...plainPaths, '-C', this.#at('source')];
    const { stderr } = await this.#ecsync(...words, '-q');
    const lines = stderr.trimEnd().split('\n');
    if (lines.length !== plainPaths.length) throw new Error(`names: ${stderr}`);
    return new Map(plainPaths.map((plainPath, i) => [plainPath, lines[i] ?? '']));
  }
}

function warningsOf({ stderr }: CommandEnd): string[] {
  return stderr.split('\n').filter((line) => /^(?:ecsync: )?(?:note|warning): /.test(line));
}

function hash(text: string): number {
  let value = 2166136261;
  for (const byte of Buffer.from(text)) value = Math.imul(value ^ byte, 16777619);
  return value >>> 0;
}

function listTree(folder: string): string[] {
  return fs
    .readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => !name.startsWith('.'))
    .sort();
}

function write(file: string, content: string | Buffer): void {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, content);
}

/** Bytes that are unlike those of any other number. */
function bytesOf(length: number, salt: number): Buffer {
  return Buffer.from(pattern(length).map((byte, index) => (byte + salt * (1 + (index % 7))) & 255));
}

/** Blocks with content, and holes between them. */
function writeSparse(file: string, blocks: readonly number[]): void {
  fs.rmSync(file, { force: true });
  const fd = fs.openSync(file, 'w');
  fs.ftruncateSync(fd, SPARSE_BLOCKS * 4096);
  for (const number of blocks) fs.writeSync(fd, bytesOf(4096, number), 0, 4096, number * 4096);
  fs.closeSync(fd);
}

function writeFirst(source: string): void {
  const put = (name: string, content: string | Buffer): void =>
    write(path.join(source, name), content);
  put('docs/large-1', bytesOf(20_000, 1));
  put('docs/large-2', bytesOf(20_000, 2));
  put('media/large-3', bytesOf(20_000, 3));
  put('large-4', bytesOf(25_000, 4));
  put('docs/edited', bytesOf(20_000, 5));
  put('docs/grown', bytesOf(3000, 6));
  put('docs/gone', bytesOf(20_000, 7));
  put('docs/old-name', bytesOf(9000, 8));
  put('even', bytesOf(3 * 4096, 9));
  put('docs/note', 'a note');
  put('media/song', 'a song');
  put('top', 'at the top');
  put('docs/inner/deep', 'deep');
  put('media/inner/other', 'other');
  put('docs/empty', '');
  put('docs/zeros', Buffer.alloc(10_000));
  writeSparse(path.join(source, SPARSE), SPARSE_FIRST);
  put(`docs/${'l'.repeat(200)}`, 'long');
  put(`docs/${'m'.repeat(200)}`, 'longer');
  put('left/behind', 'left');
  fs.mkdirSync(path.join(source, 'empty-folder'));
  execFileSync('mkfifo', [path.join(source, 'pipe')]);
  fs.symlinkSync('large-1', path.join(source, 'docs/link'));
  fs.symlinkSync('/etc/hosts', path.join(source, 'media/link'));
  fs.symlinkSync('before', path.join(source, 'docs/turned'));
  fs.symlinkSync('nowhere', path.join(source, 'docs/gone-link'));
  for (const name of ['', ...listTree(source)]) {
    fs.lutimesSync(path.join(source, name), LONG_AGO, LONG_AGO);
  }
}

/** Edited, grown, deleted, renamed, turned; one file in the place of another that has moved. */
function writeSecond(source: string): void {
  const at = (name: string): string => path.join(source, name);
  const later = new Date('2026-04-01T12:00:00Z');
  write(at('docs/edited'), bytesOf(20_000, 15));
  write(at('docs/grown'), bytesOf(9000, 16));
  writeSparse(at(SPARSE), SPARSE_SECOND);
  fs.rmSync(at('docs/gone'));
  fs.rmSync(at('left'), { recursive: true });
  fs.rmSync(at('docs/gone-link'));
  fs.renameSync(at('docs/old-name'), at('media/new-name'));
  fs.rmSync(at('docs/turned'));
  fs.symlinkSync('after', at('docs/turned'));
  for (const name of ['docs/edited', 'docs/grown', SPARSE, 'docs/turned', 'docs', 'media', '']) {
    fs.lutimesSync(at(name), later, later);
  }
}
