import { describe, expect, it } from 'vitest';
import { compareFlist } from '../../../../src/rsync/flist/sort.ts';
import type { Entry } from '../../../../src/tree/entry.ts';
import { Ledger } from '../../../../src/sync/push/job/ledger.ts';
import { absentControls, withControls } from '../../../../src/sync/push/job/control-entry.ts';
import { compareWithCopy } from '../../../../src/sync/push/guards/comparison.ts';
import type { PushEntry } from '../../../../src/sync/push/source/push-entry.ts';
import type { PushJob } from '../../../../src/sync/push/job/push-job.ts';
import { ask, type Answer } from '../../../../src/sync/push/job/question.ts';
import type { Connection } from '../../../../src/transport/connection.ts';
import { FakePeer, frame, Generator, greeting } from '../../../support/fake-peer.ts';

const ROOT = entry('.', 0o040755);
const FILE = entry('a', 0o100644);
const PIPE = entry('b', 0o010644);
const ALL_KINDS = { devices: true, specials: true, links: true };

function entry(path: string, mode: number): PushEntry {
  const times = { mtimeSec: 1, mtimeNsec: 0 };
  return {
    path: Buffer.from(path),
    mode,
    size: 0,
    ...times,
    uid: 0,
    gid: 0,
    bytes: Buffer.alloc(0),
  };
}

describe('control entries', () => {
  it('stand for each kind that a list has and the options carry, and never for folders', () => {
    const kinds = (list: readonly Entry[], options = ALL_KINDS): string[] =>
      absentControls(list, options).map(({ kind }) => kind);
    expect(kinds([ROOT])).toEqual(['file']);
    expect(kinds([ROOT, PIPE, entry('folder', 0o040755)])).toEqual(['file', 'special']);
    expect(kinds([ROOT, PIPE], { ...ALL_KINDS, specials: false })).toEqual(['file']);
    expect(kinds([])).toEqual([]);
  });

  it('have names of their own in each question and keep a list sorted', () => {
    const list = ['+', 'a', 'gocryptfs.conf', 'gocryptfs.longname.x', 'zz'].map((name) =>
      entry(name, 0o100644),
    );
    const whole = [ROOT, ...list, entry('0', 0o040755), entry('0/a', 0o100644)];
    const controls = absentControls([...whole, PIPE], ALL_KINDS);
    const together = withControls(whole, controls);
    expect(together).toHaveLength(whole.length + 2);
    expect([...together].sort(compareFlist)).toEqual(together);
    expect(together.filter((one) => whole.includes(one))).toEqual(whole);
    expect(absentControls(whole, ALL_KINDS)[0]?.entry.path).not.toEqual(controls[0]?.entry.path);
  });
});

/** What one run of a fake server says: the indexes that it reports as missing, and its lines. */
interface Script {
  readonly wants?: readonly number[];
  readonly makes?: readonly number[];
  readonly lines?: readonly string[];
}

/** A job at a server that says the same as the scripts, one for each run. */
function jobAt(scripts: readonly Script[]): { readonly job: PushJob; readonly runs: () => number } {
  let runs = 0;
  const start = (): Promise<Connection> => {
    const { wants = [], makes = [], lines = [] } = scripts[runs++] ?? {};
    const generator = new Generator();
    const peer = new FakePeer().say(greeting());
    for (const line of lines) peer.say(frame(2, Buffer.from(line)));
    const items = [...wants, ...makes].sort((a, b) => a - b);
    // In a dry run a request for content has nothing but its flags.
    const records = items.map((ndx) => generator.item(ndx, makes.includes(ndx) ? 0x6000 : 0xa000));
    const dones = [1, 2, 3, 4, 5].map(() => generator.done());
    peer.say(frame(0, Buffer.concat([...records, ...dones]))).close();
    const { input, output } = peer;
    return Promise.resolve({
      input,
      output,
      stderrText: () => '',
      exited: Promise.resolve({ code: 0, signal: null }),
      destroy: () => undefined,
    });
  };
  const ledger = new Ledger({
    item: () => undefined,
    warning: () => undefined,
    progress: () => undefined,
  });
  const settings = {
    ...{ protocolMax: 32, perms: true, owner: true, group: true, devices: true, specials: true },
    ...{ hardLinks: false, checksum: false, numericIds: true, timeoutSec: 0 },
    destination: { kind: 'local', path: '/copy', shown: '/copy' },
  };
  const context = {
    remote: { shownName: 'fake', start, close: () => Promise.resolve() },
    ...{ ledger, rsyncPath: 'rsync', destination: '/copy/', timeoutSec: 0 },
    view: {},
    signal: new AbortController().signal,
  };
  const job = { settings, context, snapshot: { entries: [ROOT, FILE] } } as unknown as PushJob;
  return { job, runs: () => runs };
}

/** Indexes in a list of the root, a file, a pipe, and behind them the controls. */
const AT = { file: 1, pipe: 2, fileControl: 3, pipeControl: 4 };

describe('a question', () => {
  async function asked(script: Script): Promise<Answer & { readonly items: readonly PushEntry[] }> {
    const items: PushEntry[] = [];
    const answer = await ask(jobAt([script]).job, {
      entries: [ROOT, FILE, PIPE],
      onItem: (one) => items.push(one),
    });
    expect(answer.outcome.error).toBe(undefined);
    return { ...answer, items };
  }

  it('is answered where the controls are, which nobody else hears of', async () => {
    const { isAnswered, mute, items } = await asked({
      wants: [AT.fileControl],
      makes: [AT.pipeControl],
    });
    expect({ isAnswered, mute, items }).toEqual({ isAnswered: true, mute: new Set(), items: [] });
  });

  it('is not answered by silence', async () => {
    const { isAnswered, mute } = await asked({});
    expect({ isAnswered, mute }).toEqual({ isAnswered: false, mute: new Set(['file', 'special']) });
  });

  it('is not answered by a record of something else', async () => {
    const { isAnswered, items } = await asked({ wants: [AT.file], makes: [AT.pipe] });
    expect({ isAnswered, items }).toEqual({ isAnswered: false, items: [FILE, PIPE] });
  });

  it('is answered for some kinds only, where others are left out', async () => {
    const { isAnswered, mute } = await asked({ wants: [AT.fileControl] });
    expect({ isAnswered, mute }).toEqual({ isAnswered: true, mute: new Set(['special']) });
  });
});

describe('a comparison', () => {
  // In a list of the root and one file the control has index 2.
  const ABSENT_CONTROL = 2;
  const compare = async (...scripts: readonly Script[]) => {
    const { job, runs } = jobAt(scripts);
    const { differing, absent, unknown } = await compareWithCopy(job, [ROOT, FILE]);
    return { differing: [...differing], absent: [...absent], unknown: [...unknown], runs: runs() };
  };
  const NOTHING = { differing: [], absent: [], unknown: [] };

  it('takes the lines of a server that has one for each object', async () => {
    const wants = [ABSENT_CONTROL];
    const same = await compare({ wants, lines: ['a exists (uptodate)\n'] });
    expect(same).toEqual({ ...NOTHING, runs: 1 });
    const other = await compare({ wants, lines: ['a exists (file change)\n'] });
    expect(other).toEqual({ ...NOTHING, differing: [FILE], runs: 1 });
  });

  it('asks twice where a line is missing, and the difference of the answers tells', async () => {
    const silent = { wants: [ABSENT_CONTROL] };
    const differs = await compare(silent, silent, { wants: [AT.file, ABSENT_CONTROL] });
    expect(differs).toEqual({ ...NOTHING, differing: [FILE], runs: 3 });
    const absent = { wants: [AT.file, ABSENT_CONTROL] };
    expect(await compare(absent)).toEqual({ ...NOTHING, absent: [FILE], runs: 1 });
  });

  it('believes that a file is equal only of a server that wants it when it is longer', async () => {
    const silent = { wants: [ABSENT_CONTROL] };
    const wantsLonger = { wants: [AT.file, ABSENT_CONTROL] };
    const equal = await compare(silent, silent, silent, wantsLonger);
    expect(equal).toEqual({ ...NOTHING, runs: 4 });
    const withheld = await compare(silent, silent, silent, silent);
    expect(withheld).toEqual({ ...NOTHING, unknown: [FILE], runs: 4 });
  });

  it('is refused where nothing is answered', async () => {
    await expect(compare({}, {}, {})).rejects.toMatchObject({
      code: 'answers-withheld',
      exitCode: 5,
    });
    await expect(compare({ lines: ['a exists (uptodate)\n'] })).rejects.toMatchObject({
      code: 'answers-withheld',
    });
  });
});
