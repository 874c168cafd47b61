// One writing command over one transport, from one state to another: prepared once, run with many
// faults, and judged.
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { type CompareOptions, differences } from '../test/e2e/support/compare.ts';
import { makeOldCopy } from '../test/e2e/support/stock-copies.ts';
import { Random } from '../test/support/random-tree.ts';
import { type Command, type Run, serversEnd } from './command.ts';
import {
  brief,
  cleanCopy,
  equalCopy,
  hasHalfFolders,
  leftovers,
  manners,
  success,
} from './judge.ts';
import { editSource, makeSource, rewriteInPlace } from './source-tree.ts';
import type { Transport } from './transports.ts';

export const ERRANDS = [
  ...['first push', 'edits', 'edits -H', 'renames', 'append-only', 'large delta'],
  ...['mirror', 'restore', 'clone', 'password', 'adopt'],
] as const;
export type Errand = string;

export interface ScenarioOptions {
  readonly command: Command;
  readonly transport: Transport;
  readonly errand: Errand;
  readonly seed: number;
  /** A folder of its own, which need not exist. */
  readonly dir: string;
}

const UNLIMITED = ['--delete', '--max-delete', '100%', '--max-changed', '100%'];

/** Replaces the content of a folder by that of another one. The folder itself keeps its time. */
function refill(folder: string, from: string): void {
  for (const name of readdirSync(folder)) rmSync(path.join(folder, name), { recursive: true });
  for (const name of readdirSync(from)) {
    execFileSync('cp', ['-a', path.join(from, name), path.join(folder, name)]);
  }
}

/** The paths of a scenario, and the arguments of all its commands. */
export class Scenario {
  readonly transport: Transport;
  readonly errand: Errand;
  readonly what: string;
  readonly source: string;
  readonly copy: string;
  readonly target: string;
  readonly passfile: string;
  readonly #newPassfile: string;
  readonly #command: Command;
  readonly #dir: string;
  readonly #name: string;
  #edits: readonly string[] = [];

  private constructor({ command, transport, errand, seed, dir }: ScenarioOptions) {
    this.transport = transport;
    this.errand = errand;
    this.what = `${errand}, ${transport.name}`;
    this.#command = command;
    this.#dir = dir;
    this.#name = `copy-${seed}`;
    this.source = path.join(dir, 'source');
    this.target = path.join(dir, 'target');
    this.passfile = path.join(dir, 'passfile');
    this.#newPassfile = path.join(dir, 'new-passfile');
    this.copy = path.join(transport.shelf, this.#name);
    rmSync(dir, { recursive: true, force: true });
    rmSync(this.copy, { recursive: true, force: true });
    mkdirSync(dir, { recursive: true });
    writeFileSync(this.passfile, 'correct horse battery staple\n', { mode: 0o600 });
    writeFileSync(this.#newPassfile, 'another horse\n', { mode: 0o600 });
  }

  /** Makes the source, and everything that precedes the command. */
  static async prepare(options: ScenarioOptions): Promise<Scenario> {
    const scenario = new Scenario(options);
    await scenario.#prepare(new Random(options.seed));
    return scenario;
  }

  async #prepare(random: Random): Promise<void> {
    makeSource(this.source, random);
    if (this.errand === 'adopt') {
      const kind = random.pick<'reverse' | 'forward'>(['reverse', 'forward']);
      const bench = { dir: this.#dir, source: this.source, copy: this.copy, password: '' };
      await makeOldCopy(
        { ...bench, passfile: this.passfile, remove: () => Promise.resolve() },
        { kind, words: [] },
      );
    } else {
      const init = ['init', this.source, '--scryptn', '10', '--passfile', this.passfile];
      await this.#mustRun(init);
      if (this.isMirror) {
        const add = ['remote', 'add', '-C', this.source, '--no-encrypt', 'disk'];
        await this.#mustRun([...add, this.url]);
      }
      if (this.errand !== 'first push') await this.#mustRun(this.pushArguments());
      this.#edits = this.#edit(random);
    }
    this.save();
  }

  #edit(random: Random): readonly string[] {
    switch (this.errand) {
      case 'edits':
      case 'edits -H':
      case 'mirror':
        return editSource(this.source, random, { count: 8 + random.below(20) });
      case 'renames':
        return editSource(this.source, random, { count: 12, kinds: 'mostlyRenames' });
      case 'append-only':
        return editSource(this.source, random, { count: 10, kinds: 'additions' });
      case 'large delta': {
        const large = path.join(this.source, 'large');
        const { size } = lstatSync(large);
        for (let i = 0; i < 12; i++) {
          rewriteInPlace(large, random.bytes(100), random.below(size - 100));
        }
        return ['12 places of a large file'];
      }
      default:
        return [];
    }
  }

  get isMirror(): boolean {
    return this.errand === 'mirror';
  }

  get url(): string {
    return this.transport.url(this.#name);
  }

  get vault(): string {
    return path.join(this.source, '.ecsync');
  }

  /** The edits of the source since the copy was made. */
  get edits(): readonly string[] {
    return this.#edits;
  }

  /** Saves the present state, from which every trial starts. */
  save(): void {
    for (const [folder, saved] of this.#saved()) {
      rmSync(saved, { recursive: true, force: true });
      if (existsSync(folder)) execFileSync('cp', ['-a', folder, saved]);
    }
  }

  #saved(): [string, string][] {
    return [
      [this.copy, path.join(this.#dir, 'saved-copy')],
      [this.vault, path.join(this.#dir, 'saved-vault')],
    ];
  }

  /** Restores the saved state. Commands never touch the source's own files. */
  reset(): void {
    const { atime, mtime } = lstatSync(this.source);
    rmSync(this.target, { recursive: true, force: true });
    for (const [folder, saved] of this.#saved()) {
      if (folder === this.vault && existsSync(saved) && existsSync(folder)) refill(folder, saved);
      else {
        rmSync(folder, { recursive: true, force: true });
        if (existsSync(saved)) execFileSync('cp', ['-a', saved, folder]);
      }
    }
    utimesSync(this.source, atime, mtime);
  }

  pushArguments(...more: readonly string[]): string[] {
    if (this.isMirror) return ['push', '-C', this.source, ...UNLIMITED, ...more, 'disk'];
    const special =
      this.errand === 'append-only'
        ? ['--append-only']
        : [...UNLIMITED, ...(this.errand === 'edits -H' ? ['-H'] : [])];
    const words = ['push', '-C', this.source, '--passfile', this.passfile, ...special];
    return [...words, ...more, this.url];
  }

  /** The command that is run with faults. */
  words(...more: readonly string[]): string[] {
    const key = ['--passfile', this.passfile];
    switch (this.errand) {
      case 'restore':
        return [
          'restore',
          '-C',
          this.source,
          '--from',
          this.url,
          '--to',
          this.target,
          ...key,
          ...more,
        ];
      case 'clone':
        return ['clone', this.url, this.target, ...key, ...more];
      case 'password':
        return ['key', 'passwd', '-C', this.source, ...key, '--new-passfile', this.#newPassfile];
      case 'adopt':
        return ['adopt', this.url, this.source, ...key, ...more];
      default:
        return this.pushArguments(...more);
    }
  }

  run(words: readonly string[]): Promise<Run> {
    return this.#command.run(words, { env: this.transport.env });
  }

  async #mustRun(words: readonly string[]): Promise<void> {
    const { code, stderr } = await this.run(words);
    if (code !== 0) throw new Error(`${words.join(' ')}: exit ${String(code)}: ${stderr}`);
  }

  get compareOptions(): CompareOptions {
    // In-process, times are stored to the microsecond.
    return { nanoseconds: this.transport.name !== 'local', links: this.errand === 'edits -H' };
  }

  /** Everything that must hold after the command, however it ended. */
  async verdict(run: Run): Promise<string[]> {
    const findings = [...manners(run), ...(run.isStuck ? ['hang: it had to be killed'] : [])];
    findings.push(...(await serversEnd(this.copy)));
    switch (this.errand) {
      case 'restore':
      case 'clone':
        return [...findings, ...(await this.#verdictOfRestore(run))];
      case 'password':
        return [...findings, ...(await this.#verdictOfPassword())];
      case 'adopt':
        return [...findings, ...(await this.#verdictOfAdopt())];
      case 'mirror':
        return [...findings, ...(await this.verdictOfMirror(run))];
      default:
        return [...findings, ...(await this.verdictOfPush(run))];
    }
  }

  async verdictOfPush(run: Run): Promise<string[]> {
    const findings: string[] = [];
    // See SECURITY.md, residuals: a server stopped between making a folder and its diriv leaves a
    // folder without diriv.
    if (run.code === 0 || !hasHalfFolders(this.copy)) {
      findings.push(...(await cleanCopy(this.copy, this.passfile, 'fsck-at-once')));
    }
    if (run.code === 0) {
      findings.push(...(await equalCopy(this, this.compareOptions, 'content-at-once')));
    }
    const next = await this.run(this.pushArguments());
    findings.push(...success(next, 'next-push'), ...(await this.settled()));
    return findings;
  }

  /** Runs the repair that a push asked for: it has lost the list of renamed files. */
  async repaired(): Promise<string[]> {
    return success(await this.run(this.#verifyWords('--repair')), 'repair');
  }

  #verifyWords(...more: readonly string[]): string[] {
    const links = this.errand === 'edits -H' ? ['-H'] : [];
    return ['verify', '-C', this.source, '--passfile', this.passfile, ...links, ...more, this.url];
  }

  /** What must hold after a successful push. */
  async settled(): Promise<string[]> {
    const findings = await cleanCopy(this.copy, this.passfile, 'fsck-after-next');
    findings.push(...(await equalCopy(this, this.compareOptions, 'content')));
    findings.push(...leftovers(this.vault, this.copy, 'leftovers'));
    const again = await this.run(this.pushArguments('-i'));
    findings.push(...success(again, 'second-push'));
    if (again.stdout !== '') findings.push(`second-push-sends: ${brief(again.stdout)}`);
    const verified = await this.run(this.#verifyWords());
    findings.push(...success(verified, `verify ${brief(verified.stdout)}`));
    return findings;
  }

  async verdictOfMirror(run: Run): Promise<string[]> {
    const options = { ignore: ['.ecsync', '.ecsync-mirror'], nanoseconds: false };
    const differ = (kind: string): string[] => {
      const found = differences(this.source, this.copy, options);
      return found.length === 0 ? [] : [`${kind}: ${found.slice(0, 8).join('; ')}`];
    };
    const findings = run.code === 0 ? differ('content-at-once') : [];
    findings.push(
      ...success(await this.run(this.pushArguments()), 'next-push'),
      ...differ('content'),
    );
    const again = await this.run(this.pushArguments('-i'));
    if (again.stdout !== '') findings.push(`second-push-sends: ${brief(again.stdout)}`);
    return findings;
  }

  async #verdictOfRestore(run: Run): Promise<string[]> {
    const findings: string[] = [];
    const ignored = ['.ecsync', '.ecsync-restore'];
    if (existsSync(this.target)) {
      const differ = differences(this.source, this.target, { ignore: ignored, nanoseconds: false });
      const wrong = differ.filter((line) => / (content|size \d)/.test(line));
      if (wrong.length > 0) findings.push(`torn-files: ${wrong.slice(0, 8).join('; ')}`);
    }
    if (run.code !== 0 || this.errand === 'restore') {
      findings.push(...success(await this.run(this.words()), 'next-restore'));
    }
    if (!existsSync(this.target)) return [...findings, 'content: nothing was restored'];
    const found = differences(this.source, this.target, {
      ignore: ['.ecsync'],
      nanoseconds: false,
    });
    if (found.length > 0) findings.push(`content: ${found.slice(0, 8).join('; ')}`);
    if (this.errand === 'clone') {
      const words = ['push', '-C', this.target, '-i', '--delete', '--passfile', this.passfile];
      const push = await this.run(words);
      findings.push(...success(push, 'push-of-clone'));
      if (push.stdout !== '') findings.push(`push-of-clone-sends: ${brief(push.stdout)}`);
    }
    return findings;
  }

  async #verdictOfPassword(): Promise<string[]> {
    const findings: string[] = [];
    const push = (passfile: string): Promise<Run> =>
      this.run(['push', '-C', this.source, '--passfile', passfile, ...UNLIMITED, this.url]);
    const old = await push(this.passfile);
    if (old.code !== 0) {
      if (old.code !== 12) findings.push(...success(old, 'old-password'));
    } else findings.push(...success(await this.run(this.words()), 'next-password'));
    findings.push(...success(await push(this.#newPassfile), 'new-password'));
    findings.push(...(await cleanCopy(this.copy, this.#newPassfile, 'fsck-after-next')));
    findings.push(...leftovers(this.vault, this.copy, 'leftovers'));
    return findings;
  }

  async #verdictOfAdopt(): Promise<string[]> {
    const findings: string[] = [];
    const saved = path.join(this.#dir, 'saved-copy');
    const unchanged = (): string[] => {
      const found = differences(saved, this.copy, {});
      return found.length === 0 ? [] : [`copy-changed: ${found.slice(0, 8).join('; ')}`];
    };
    findings.push(...unchanged());
    const next = await this.run(this.words());
    // An existing vault is complete, so the command may report that.
    if (next.code !== 0 && !existsSync(path.join(this.vault, 'config.toml'))) {
      findings.push(...success(next, 'next-adopt'));
    }
    findings.push(...manners(next), ...unchanged());
    const words = ['push', '-C', this.source, '-i', '--delete', '--passfile', this.passfile];
    const push = await this.run([...words, this.url]);
    findings.push(...success(push, 'push-after-adopt'));
    if (push.stdout !== '') findings.push(`push-after-adopt-sends: ${brief(push.stdout)}`);
    return findings;
  }

  /** Removes all files of this scenario. */
  remove(): void {
    rmSync(this.#dir, { recursive: true, force: true });
    rmSync(this.copy, { recursive: true, force: true });
  }

  /** Copies the present folder of the vault. */
  keepVault(name: string): string {
    const kept = path.join(this.#dir, name);
    rmSync(kept, { recursive: true, force: true });
    cpSync(this.vault, kept, { recursive: true });
    return kept;
  }

  /** The bytes of the password file, for other programs. */
  password(): string {
    return readFileSync(this.passfile, 'utf8').trim();
  }
}
