// The files of this machine, tens of thousands of them, and a large one: pushed, not sent twice, a
// small change as a small delta.
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { Command, type Run } from '../command.ts';
import { brief, cleanCopy, equalCopy, success } from '../judge.ts';
import {
  type Lab,
  type OpenPart,
  type Outcome,
  type Part,
  type PointId,
  pointSeed,
} from '../part.ts';
import { makeSparse } from '../../test/e2e/support/hard-tree.ts';
import { Random } from '../../test/support/random-tree.ts';
import { type Transport, type TransportName, Transports } from '../transports.ts';

const MIB = 1024 * 1024;
const DELTA_MAX = 16 * 1024;
const RUN_LIMIT_MS = 900_000;

interface Tree {
  /** Folders that do not exist on this machine are left out. */
  readonly folders: readonly string[];
  readonly largeMiB: number;
  /** It has a sparse file longer than 32 bits can express. */
  readonly isSparse?: boolean;
}

const SPARSE_SIZE = 4096 * MIB + 1234;

/** The tests also run the first one. */
const TREES: readonly Tree[] = [
  {
    folders: ['/usr/share/zoneinfo', '/usr/share/perl', '/usr/share/mime'],
    largeMiB: 64,
  },
  { folders: ['/usr/share'], largeMiB: 512, isSparse: true },
  { folders: ['/usr/lib'], largeMiB: 512 },
  { folders: ['/usr/bin', '/usr/sbin', '/usr/include', '/var/lib/dpkg'], largeMiB: 2048 },
];

/** One tree that is pushed several times. */
class Place {
  readonly source: string;
  readonly copy: string;
  readonly passfile: string;
  readonly large: string;
  readonly #command: Command;
  readonly #transport: Transport;

  constructor(command: Command, transport: Transport, dir: string) {
    this.#command = command;
    this.#transport = transport;
    this.source = path.join(dir, 'source');
    this.passfile = path.join(dir, 'passfile');
    this.large = path.join(this.source, 'large');
    this.copy = path.join(transport.shelf, 'system-files');
  }

  fill({ folders, largeMiB, isSparse }: Tree): void {
    this.remove();
    mkdirSync(this.source, { recursive: true });
    writeFileSync(this.passfile, 'correct horse battery staple\n', { mode: 0o600 });
    const there = folders.filter((folder) => existsSync(folder));
    if (there.length === 0) throw new Error(`this machine has none of ${folders.join(', ')}`);
    execFileSync('cp', ['-a', ...there, this.source]);
    const random = `head -c ${largeMiB * MIB} /dev/urandom > "$1"`;
    execFileSync('sh', ['-c', random, 'sh', this.large]);
    if (isSparse === true) makeSparse(path.join(this.source, 'sparse'), SPARSE_SIZE);
  }

  init(): Promise<Run> {
    return this.#run(['init', this.source, '--scryptn', '10', '--passfile', this.passfile]);
  }

  push(...words: readonly string[]): Promise<Run> {
    const all = ['push', '-C', this.source, '--passfile', this.passfile, '-H', '--json', ...words];
    return this.#run([...all, this.#transport.url('system-files')]);
  }

  async equal(): Promise<string[]> {
    return [
      ...(await cleanCopy(this.copy, this.passfile, 'fsck')),
      ...(await equalCopy(
        this,
        { links: true, nanoseconds: this.#transport.name !== 'local' },
        'content',
      )),
    ];
  }

  remove(): void {
    for (const one of [this.source, this.copy]) rmSync(one, { recursive: true, force: true });
  }

  #run(words: readonly string[]): Promise<Run> {
    return this.#command.run(words, { env: this.#transport.env, limitMs: RUN_LIMIT_MS });
  }
}

interface Figures {
  readonly filesTotal: number;
  readonly filesSent: number;
  readonly filesDeleted: number;
  readonly literalBytes: number;
}

function figuresOf({ stdout }: Run): Figures | undefined {
  const last = stdout.trimEnd().split('\n').at(-1) ?? '';
  return last === '' ? undefined : (JSON.parse(last) as Figures);
}

/** The push succeeded without a message, and its figures are as expected. */
function expected(run: Run, kind: string, isRight: (figures: Figures) => boolean): string[] {
  const findings = success(run, kind);
  if (run.stderr !== '') findings.push(`${kind}-says: ${brief(run.stderr)}`);
  const figures = figuresOf(run);
  if (figures === undefined || !isRight(figures)) {
    findings.push(`${kind}-figures: ${brief(run.stdout)}`);
  }
  return findings;
}

class SystemFiles implements OpenPart {
  readonly #lab: Lab;
  readonly #transports: Transports;

  constructor(lab: Lab) {
    this.#lab = lab;
    this.#transports = new Transports(lab.dir);
  }

  async run(id: PointId): Promise<Outcome> {
    const tree = TREES[(id.point - 1) % TREES.length];
    if (tree === undefined) throw new Error('there are no trees');
    const others = new Random(pointSeed(id)).pick<TransportName>(['ssh', 'daemon', 'local']);
    const transport = id.point <= TREES.length ? 'ssh' : others;
    const command = new Command(this.#lab.cli);
    const place = new Place(
      command,
      await this.#transports.get(transport),
      path.join(this.#lab.dir, 'place'),
    );
    place.fill(tree);
    const findings = success(await place.init(), 'init');
    const first = await place.push();
    findings.push(...expected(first, 'first-push', ({ filesSent }) => filesSent > 1000));
    findings.push(...(await place.equal()));
    findings.push(...(await this.#changes(place, tree)));
    place.remove();
    return {
      what: `${tree.folders.join(' ')}, ${transport}`,
      findings,
      figures: { files: figuresOf(first)?.filesTotal ?? 0 },
    };
  }

  /** No change, eight bytes, a deleted file and a new one. */
  async #changes(place: Place, { largeMiB }: Tree): Promise<string[]> {
    const sendsNothing = ({ filesSent, literalBytes, filesDeleted }: Figures): boolean =>
      filesSent === 0 && literalBytes === 0 && filesDeleted === 0;
    const findings = expected(await place.push(), 'second-push', sendsNothing);
    const file = openSync(place.large, 'r+');
    writeSync(file, Buffer.from('8 bytes!'), 0, 8, Math.floor(largeMiB * 0.6) * MIB + 4092);
    closeSync(file);
    const sendsLittle = ({ filesSent, literalBytes }: Figures): boolean =>
      filesSent === 1 && literalBytes > 0 && literalBytes < DELTA_MAX;
    findings.push(...expected(await place.push(), 'small-change', sendsLittle));
    rmSync(place.large);
    writeFileSync(path.join(place.source, 'new file'), 'new');
    const swapsOne = ({ filesSent, filesDeleted }: Figures): boolean =>
      filesSent === 1 && filesDeleted === 1;
    findings.push(...expected(await place.push('--delete'), 'one-for-another', swapsOne));
    return [...findings, ...(await place.equal())];
  }

  close(): Promise<void> {
    return this.#transports.stop();
  }
}

export const systemFiles: Part = {
  name: 'system-files',
  checks:
    'folders of this machine and a large file: stock fsck and an equal mount; the next push sends nothing; 8 bytes cost less than 16 KiB',
  pointMs: 3_600_000,
  open: (lab) => Promise.resolve(new SystemFiles(lab)),
};
