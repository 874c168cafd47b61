import { mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { serialiseConf } from '../../src/gocryptfs/conf/config.ts';
import type { LayoutChoice } from '../../src/gocryptfs/conf/feature-flags.ts';
import { createConf } from '../../src/gocryptfs/conf/keys.ts';
import type { OpenVault } from '../../src/sync/push/opened-vault.ts';
import { push } from '../../src/sync/push/push.ts';
import { defaultPushSettings } from '../../src/sync/push/source/push-settings.ts';
import type {
  PushSettings,
  PushSummary,
  PushWarning,
} from '../../src/sync/push/source/push-settings.ts';
import { FilterRules } from '../../src/tree/filter/filter-syntax.ts';
import { untilSettled } from '../support/settled.ts';
import { type Bench, ecsync, makeBench, summaryOf } from './support/cli.ts';
import { differences } from './support/compare.ts';
import { makeBusyTree, makeHardTree } from './support/hard-tree.ts';
import { fsck, withMount } from './support/stock.ts';
import type { StateStore } from '../../src/sync/push/memory/vault-memory.ts';

/**
 * Every layout and every name scheme against the real programs: pushed to a stock rsync, mounted
 * and checked by stock gocryptfs, equal to the source, and never sent twice.
 */
const LAYOUTS = (['gcm', 'reverse', 'xchacha'] as const).flatMap((layout): LayoutChoice[] => [
  { layout },
  { layout, plaintextNames: true },
  { layout, deterministicNames: true },
  { layout, longNameMax: 100 },
]);
const named = LAYOUTS.map((choice) => ({ choice, name: JSON.stringify(choice) }));
const CONF_MTIME_SEC = 1_700_000_000;

/** A vault in memory, and everything that its pushes to one copy share. */
class Pushes {
  readonly warnings: PushWarning[] = [];
  readonly #bench: Bench;
  readonly #vault: OpenVault;
  #state: Uint8Array | undefined;

  constructor(bench: Bench, vault: OpenVault) {
    this.#bench = bench;
    this.#vault = vault;
  }

  /** Deletes the memory of the copy. */
  forget(): void {
    this.#state = undefined;
  }

  /** @param stopAfter - aborts after this many progress events */
  async push(changes: Partial<PushSettings> = {}, stopAfter = Infinity): Promise<PushSummary> {
    const { source, copy, dir } = this.#bench;
    const store: StateStore = {
      read: () => this.#state,
      write: (bytes) => {
        this.#state = Buffer.from(bytes);
      },
    };
    const aborting = new AbortController();
    let signs = 0;
    const sign = (): void => {
      if (++signs >= stopAfter) aborting.abort();
    };
    this.warnings.length = 0;
    return push(
      {
        ...defaultPushSettings(
          { source, vaultDir: path.join(dir, 'vault') },
          { kind: 'local', path: copy, shown: copy },
        ),
        ...{ rsyncPath: 'rsync', hardLinks: true, timeoutSec: 60 },
        ...changes,
      },
      this.#vault,
      {
        reporter: { item: sign, progress: sign, warning: (one) => this.warnings.push(one) },
        signal: aborting.signal,
        store,
      },
    );
  }
}

async function makeVault(bench: Bench, layout: LayoutChoice): Promise<OpenVault> {
  const settings = {
    password: Buffer.from(bench.password),
    scryptLogN: 10,
    creator: 'ecsync test',
  };
  const { conf, masterkey } = await createConf({ ...settings, layout });
  const isReverse = layout.layout === 'reverse';
  confBytes = serialiseConf(conf);
  return {
    source: bench.source,
    vaultDir: path.join(bench.dir, 'vault'),
    conf: { bytes: confBytes, mtimeSec: CONF_MTIME_SEC },
    masterkey,
    derivation: isReverse ? 'reverse' : 'keyed',
    virtualTimes: isReverse ? { shiftSec: 10 } : 'fixed',
  };
}

let bench: Bench;
let pushes: Pushes;
let confBytes: Uint8Array;

beforeEach(async () => {
  bench = await makeBench();
});
afterEach(() => bench.remove());

async function begin(choice: LayoutChoice): Promise<void> {
  pushes = new Pushes(bench, await makeVault(bench, choice));
}

function inSource(...parts: readonly string[]): string {
  return path.join(bench.source, ...parts);
}

/** Problems of the copy according to stock, and differences between its mount and the source. */
async function problemsOfCopy(ignore: readonly string[] = []): Promise<readonly string[]> {
  const report = await fsck(bench.copy, bench.passfile);
  const found = await withMount(bench.copy, bench.passfile, (mountpoint) =>
    Promise.resolve(differences(bench.source, mountpoint, { ignore, links: true })),
  );
  // With plaintext names stock shows the temporary directory, which is empty.
  const left = found.filter((line) => line !== '"": extra "gocryptfs.longname.ecsync-tmp.name"');
  return report.code === 0 ? left : [`fsck ${report.code}: ${report.text}`, ...left];
}

describe.each(named)('a copy of layout $name', { timeout: 120_000 }, ({ choice }) => {
  const isPlain = choice.plaintextNames === true;

  it('equals the source for stock, and nothing is sent twice', async () => {
    await begin(choice);
    makeHardTree(bench.source);
    if (isPlain) rmSync(inSource('gocryptfs.conf'));
    // Files written just before a push are checked again by the next one.
    await untilSettled();
    expect(await pushes.push()).toMatchObject({ exitCode: 0 });
    expect(pushes.warnings).toEqual([]);
    expect(await problemsOfCopy()).toEqual([]);
    const nothing = { exitCode: 0, filesSent: 0, literalBytes: 0, filesDeleted: 0 };
    expect(await pushes.push({ delete: true })).toMatchObject(nothing);
    pushes.forget();
    expect(await pushes.push({ delete: true })).toMatchObject(nothing);
    expect(await problemsOfCopy()).toEqual([]);
  });

  it('follows changes, renames and deletions', async () => {
    await begin(choice);
    makeBusyTree(bench.source, 9, 3);
    for (const name of ['gocryptfs.diriv', 'gocryptfs.longname.x', 'gocryptfs.longname.x.name']) {
      for (const folder of ['', 'folder 1']) {
        mkdirSync(inSource(folder), { recursive: true });
        writeFileSync(inSource(folder, name), name);
      }
    }
    symlinkSync('here', inSource('link'));
    expect(await pushes.push()).toMatchObject({ exitCode: 0 });
    expect(await problemsOfCopy()).toEqual([]);

    renameSync(inSource('folder 3'), inSource('renamed [*?]'));
    for (const name of ['gocryptfs.diriv', 'gocryptfs.longname.x.name', 'link']) {
      rmSync(inSource(name));
    }
    rmSync(inSource('folder 1', 'gocryptfs.diriv'));
    rmSync(inSource('folder 6'), { recursive: true });
    symlinkSync('there', inSource('link'));
    mkdirSync(inSource('N'.repeat(200), 'M'.repeat(200)), { recursive: true });
    writeFileSync(inSource('N'.repeat(200), 'M'.repeat(200), 'L'.repeat(200)), 'long');
    const second = await pushes.push({ delete: true });
    expect(second).toMatchObject({ exitCode: 0 });
    expect(second.filesDeleted).toBeGreaterThan(3);
    expect(await problemsOfCopy()).toEqual([]);
  });

  it('keeps excluded files, with or without wildcards in names, and deletes others', async () => {
    await begin(choice);
    const files = ['a[*]?b', 'axb', String.raw`c\d`, String.raw`e\*`, 'f/[x]', 'f/x', 'gone'];
    mkdirSync(inSource('f'), { recursive: true });
    for (const name of files) writeFileSync(inSource(name), name);
    expect(await pushes.push()).toMatchObject({ exitCode: 0 });
    const rules = new FilterRules();
    const excluded = ['/a\\[\\*]\\?b', String.raw`/c\d`, String.raw`/e\\\*`, '/f/\\[x]'];
    for (const pattern of excluded) rules.exclude(pattern);
    for (const name of ['axb', 'f/x', 'gone']) rmSync(inSource(name));
    expect(await pushes.push({ delete: true, rules: rules.rules })).toMatchObject({
      exitCode: 0,
      filesDeleted: 3,
    });
    expect(await problemsOfCopy()).toEqual([]);
  });
});

describe.each(named.filter(({ choice }) => choice.layout === 'gcm'))(
  'a push that is cut off, layout $name',
  { timeout: 120_000 },
  ({ choice }) => {
    it('leaves a copy that stock calls clean wherever it stopped, and continues', async () => {
      await begin(choice);
      makeBusyTree(bench.source, 12, 3);
      let stopped = 0;
      for (let stopAfter = 5; stopAfter < 200; stopAfter += 13) {
        const ended = await pushes.push({}, stopAfter).catch((error: unknown) => error);
        if (!(ended instanceof Error)) break;
        expect(ended).toMatchObject({ code: 'interrupted' });
        stopped++;
        if (!readdirSync(bench.dir).includes('copy')) continue;
        if (!readdirSync(bench.copy).includes('gocryptfs.conf')) continue;
        expect(await fsck(bench.copy, bench.passfile)).toMatchObject({ code: 0 });
      }
      expect(stopped).toBeGreaterThan(3);
      expect(await pushes.push()).toMatchObject({ exitCode: 0 });
      expect(await problemsOfCopy()).toEqual([]);
    });
  },
);

describe('plaintext names', { timeout: 60_000 }, () => {
  const choice: LayoutChoice = { layout: 'gcm', plaintextNames: true };
  const refusal = (changes: Partial<PushSettings> = {}) =>
    pushes.push(changes).then(
      () => 'pushed',
      (error: unknown) => (error instanceof Error && 'code' in error ? error.code : error),
    );

  beforeEach(async () => {
    await begin(choice);
    mkdirSync(bench.source);
    writeFileSync(inSource('file'), 'content');
  });

  it('do not replace the conf, and that is reported', async () => {
    writeFileSync(inSource('gocryptfs.conf'), 'mine');
    expect(await pushes.push()).toMatchObject({ exitCode: 23 });
    expect(pushes.warnings).toMatchObject([{ code: 'name-reserved' }]);
    expect(await problemsOfCopy(['gocryptfs.conf'])).toEqual([]);
    const rules = new FilterRules();
    rules.exclude('/gocryptfs.conf');
    expect(await pushes.push({ rules: rules.rules, delete: true })).toMatchObject({ exitCode: 0 });
    expect(await problemsOfCopy(['gocryptfs.conf'])).toEqual([]);
  });

  it.each([32, 27])(
    'never overwrite files of another folder, by protocol %d',
    async (protocolMax) => {
      mkdirSync(bench.copy);
      writeFileSync(path.join(bench.copy, 'file'), 'the only version');
      for (const dryRun of [true, false]) {
        expect(await refusal({ dryRun, protocolMax })).toBe('destination-not-a-copy');
      }
      expect(readdirSync(bench.copy)).toEqual(['file']);
      rmSync(path.join(bench.copy, 'file'));
      expect(await pushes.push({ protocolMax })).toMatchObject({ exitCode: 0 });
    },
  );

  it.each([{ deterministicNames: true }, { plaintextNames: true }])(
    "refuse another vault's copy although no diriv identifies it: %j",
    async (scheme) => {
      await begin({ layout: 'gcm', ...scheme });
      expect(await pushes.push()).toMatchObject({ exitCode: 0 });
      await begin({ layout: 'gcm', ...scheme });
      expect(await refusal()).toBe('destination-other-vault');
    },
  );
});

function initWords(choice: LayoutChoice): string[] {
  return [
    ...['--layout', choice.layout],
    ...(choice.plaintextNames === true ? ['--plaintextnames'] : []),
    ...(choice.deterministicNames === true ? ['--deterministic-names'] : []),
    ...(choice.longNameMax === undefined ? [] : ['--longnamemax', String(choice.longNameMax)]),
  ];
}

describe.each(named)('the command, layout $name', { timeout: 60_000 }, ({ choice }) => {
  it('makes the vault and pushes a copy that stock opens', async () => {
    makeBusyTree(bench.source, 4, 2);
    const secret = ['--passfile', bench.passfile];
    const words = ['init', bench.source, '--scryptn', '10', ...secret, ...initWords(choice)];
    expect(await ecsync(words)).toMatchObject({ code: 0 });
    await untilSettled();
    const push = ['push', '-C', bench.source, '--json', '--rsync-path', 'rsync', ...secret];
    expect(await ecsync([...push, bench.copy])).toMatchObject({ code: 0, stderr: '' });
    const inTheSource = ['.ecsync', '.gocryptfs.reverse.conf'];
    expect(await problemsOfCopy(inTheSource)).toEqual([]);
    const second = await ecsync([...push, '--delete', bench.copy]);
    expect(summaryOf(second)).toMatchObject({ exitCode: 0, filesSent: 0, filesDeleted: 0 });
  });
});
