// Goal: our server does what a stock server does. Method: stock rsync pushes the same source to
// both; the trees, the itemised output and the exit status must be equal.
import * as fs from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { run, ServedRsync } from '../../support/served-rsync.ts';
import { Bench, buildShape, items, linkGroups, randomShape, snapshot } from './support.ts';

let served: ServedRsync;
let bench: Bench;
beforeAll(async () => {
  served = await ServedRsync.start();
});
afterAll(() => served.stop());
beforeEach(() => {
  bench = new Bench();
});
afterEach(() => bench.remove());

/** Pushes to both and compares everything. */
async function expectSame(args: readonly string[], code = 0): Promise<string[]> {
  const [ours, stock] = await bench.push(served, args);
  if (code === 0) expect(ours.stderr).toBe('');
  expect([ours.code, stock.code]).toEqual([code, code]);
  expect(items(ours)).toEqual(items(stock));
  expect(await snapshot(bench.ours)).toEqual(await snapshot(bench.stocks));
  return items(ours);
}

const VARIED = `
  echo hello > a; : > empty; printf x > 'name with spaces'; printf y > "$(printf 'new\\nline')"
  printf z > "$(printf 'not-utf8-\\377')"; ln -s a link; ln -s /nowhere/else dangling
  mkdir -p sub/deep/deeper dir-empty sub-; printf 1 > sub/1; printf 2 > sub/deep/2
  printf 3 > sub-/3; printf 4 > sub/deep/deeper/4; chmod 4751 a; chmod 0 empty; chmod 555 sub
  head -c 3000000 /dev/urandom > big; chown 12:34 sub/1; touch -d '1969-07-20 20:17:40' sub/1
  touch -d '2001-02-03 04:05:06.123456789' a; touch -h -d '2011-11-11' link; touch -d 2038-06-01 sub/deep`;

describe.each([32, 31, 30, 29])('protocol %i', (protocol) => {
  const P = `--protocol=${protocol}`;

  it('stores a fresh copy, and finds nothing to do afterwards', async () => {
    bench.prepare(VARIED);
    expect((await expectSame(['-ai', P])).length).toBeGreaterThan(15);
    expect(await expectSame(['-ai', P])).toEqual([]);
  });

  it('transfers deltas of changed files', async () => {
    bench.prepare(VARIED, true);
    bench.prepare(`
      printf insert | cat - big > b2; cat b2 > big; rm b2; printf more >> sub/1; printf 'HELLO\\n' > a
      dd if=/dev/urandom of=big bs=1 seek=1500000 count=700 conv=notrunc status=none`);
    await expectSame(['-ai', P]);
    const [ours, stock] = await bench.push(served, ['-ai', '-I', '--stats', P]);
    const matched = /Matched data: (.*) bytes/;
    expect(matched.exec(ours.stdout)?.[1]).toBe(matched.exec(stock.stdout)?.[1]);
    expect(matched.exec(ours.stdout)?.[1]).not.toBe('0');
  });

  it('compares by checksum', async () => {
    bench.prepare(VARIED, true);
    bench.prepareDestinations(`printf 'HELLO\\n' > a; touch -d '2001-02-03 04:05:06' a; touch big`);
    await expectSame(['-aic', P]);
  });

  it('changes nothing in a dry run', async () => {
    bench.prepare(VARIED, true);
    bench.prepare('echo more >> a; mkdir new; echo x > new/x; ln -sfn b link; chmod 600 big');
    const before = await snapshot(bench.ours);
    const lines = await expectSame(['-ain', P]);
    expect(lines.length).toBeGreaterThan(4);
    expect(await snapshot(bench.ours)).toEqual(before);
  });

  it('changes types: file, folder, symlink', async () => {
    bench.prepare('mkdir d; echo 1 > f; ln -s f l; mkdir e; echo 2 > g; ln -s g m', true);
    bench.prepare('rmdir d; echo d > d; rm f; mkdir f; echo x > f/x; rm l; echo l > l');
    bench.prepare('rmdir e; ln -s g e; rm g; ln -s m g; rm m; mkdir m');
    await expectSame(['-ai', P]);
  });

  it('keeps hard links', async () => {
    bench.prepare('mkdir d; echo 1 > a; ln a b; ln a d/c; echo 2 > x; ln x y; echo 3 > single');
    await expectSame(['-aHi', P]);
    expect(await linkGroups(bench.ours)).toEqual([
      ['a', 'b', 'd/c'],
      ['x', 'y'],
    ]);
    bench.prepare('echo changed > a; ln a 0new; rm y; echo other > y; ln -f single d/s; ln -f y q');
    const [ours, stock] = await bench.push(served, ['-aHi', P]);
    expect([ours.code, stock.code]).toEqual([0, 0]);
    expect(await snapshot(bench.ours)).toEqual(await snapshot(bench.stocks));
    expect(await linkGroups(bench.ours)).toEqual(await linkGroups(bench.stocks));
    expect(items((await bench.push(served, ['-aHi', P]))[0])).toEqual([]);
  });

  it('deletes extraneous objects, except protected ones', async () => {
    bench.prepare(
      'mkdir -p a/b/c d e/kept; echo 1 > a/1; echo 2 > a/b/2; echo k > e/kept/k; ln -s x s',
      true,
    );
    bench.prepareDestinations(
      'mkdir -p x/y/z x/w; echo p > x/w/keepme; echo 1 > x/y/1; ln -s / x/root',
    );
    bench.prepareDestinations('echo 3 > e/3; mkfifo fifo; mkdir d/only; echo t > "e/kept/t.tmp"');
    bench.prepare('rm -r a/b s');
    const [ours, stock] = await bench.push(served, [
      ...['-ai', '--delete-after', '--filter=P keepme', '--filter=P *.tmp', P],
    ]);
    expect([ours.code, stock.code]).toEqual([0, 0]);
    // A remaining extra folder has the time of the deletion.
    const untimed = async (side: string) => ({ ...(await snapshot(side)), x: '' });
    expect(await untimed(bench.ours)).toEqual(await untimed(bench.stocks));
    const deleted = (lines: readonly string[]) => lines.filter((line) => line.startsWith('*del'));
    expect(deleted(items(ours))).toEqual(deleted(items(stock)));
    expect(deleted(items(ours)).length).toBeGreaterThan(8);
  });

  it('deletes folders in the way only if it may delete', async () => {
    bench.prepare('echo 1 > f', false);
    bench.prepareDestinations('mkdir -p f/full; echo x > f/full/x');
    const [ours, stock] = await bench.push(served, ['-a', P]);
    expect([ours.code, stock.code]).toEqual([23, 23]);
    expect(fs.existsSync(join(bench.ours, 'f/full/x'))).toBe(true);
    await expectSame(['-a', '--delete-after', P]);
  });
});

describe.each([28, 27])('protocol %i', (protocol) => {
  it('stores a copy, deltas and deletions', async () => {
    const args = ['-a', '--numeric-ids', '--delete-after', `--protocol=${protocol}`];
    bench.prepare(VARIED);
    await expectSame(args);
    bench.prepare('rm a; printf x >> big; rm -r sub/deep');
    await expectSame(args);
    expect(Object.keys(await snapshot(bench.ours))).toEqual(
      Object.keys(await snapshot(bench.source)),
    );
  });
});

describe('options', () => {
  it('block size', async () => {
    bench.prepare('head -c 1000000 /dev/urandom > big', true);
    bench.prepare('printf x >> big');
    const [ours, stock] = await bench.push(served, [
      '-a',
      '-B',
      '4128',
      '--stats',
      '--debug=deltasum2',
    ]);
    const lines = (text: string) =>
      text.split('\n').filter((line) => line.includes('count=') || line.includes('data:'));
    expect(lines(ours.stdout)).toEqual(lines(stock.stdout));
    expect(lines(ours.stdout).length).toBeGreaterThan(1);
  });

  it.each([0, 1, 699, 700, 701, 490_000, 490_001, 1_000_000, 30_000_001])(
    'a file of %i bytes is divided into the same blocks as by the stock server',
    async (size) => {
      bench.prepare(`head -c ${size} /dev/zero > f`, true);
      bench.prepare('printf x >> f');
      const [ours, stock] = await bench.push(served, ['-a', '--debug=deltasum2']);
      const heads = (text: string) => text.split('\n').filter((line) => line.startsWith('count='));
      expect(heads(ours.stdout)).toEqual(heads(stock.stdout));
    },
  );

  it('temporary directory inside the destination, and none left behind', async () => {
    bench.prepare('echo 1 > a; mkdir d tmp; echo 2 > d/b; head -c 100000 /dev/urandom > c');
    bench.prepareDestinations('mkdir tmp');
    await expectSame(['-ai', '--temp-dir', 'tmp']);
    expect(fs.readdirSync(join(bench.ours, 'tmp'))).toEqual([]);
  });

  it('a missing temporary directory ends the run and is reported', async () => {
    bench.prepare('echo 1 > a');
    const [ours, stock] = await bench.push(served, ['-a', '--temp-dir', 'missing']);
    expect(ours.code).toBe(stock.code);
    expect(ours.stderr).toContain('temp-dir');
    expect(fs.readdirSync(bench.ours)).toEqual([]);
  });

  it('earlier copy: equal files are linked, others are sent as deltas', async () => {
    bench.prepare(
      'mkdir d; head -c 500000 /dev/urandom > same; echo 1 > d/same; head -c 300000 /dev/urandom > other; echo m > mode',
    );
    for (const name of ['ours-earlier', 'stocks-earlier']) {
      await run('cp', ['-a', bench.source, join(bench.root, name)]);
    }
    bench.prepare('printf x >> other; chmod 600 mode; echo n > new');
    const args = ['-ai', '--stats', '--link-dest'];
    const ours = await served.push([
      ...args,
      '../ours-earlier',
      `${bench.source}/`,
      `host:${bench.ours}/`,
    ]);
    const stock = await run('rsync', [
      '-ai',
      '--link-dest',
      '../stocks-earlier',
      `${bench.source}/`,
      `${bench.stocks}/`,
    ]);
    expect([ours.code, stock.code]).toEqual([0, 0]);
    expect(await snapshot(bench.ours)).toEqual(await snapshot(bench.stocks));
    for (const name of ['same', 'd/same']) {
      const inode = (side: string) => fs.statSync(join(bench.root, side, name)).ino;
      expect(inode('ours')).toBe(inode('ours-earlier'));
    }
    expect(fs.statSync(join(bench.root, 'ours-earlier/mode')).mode & 0o777).toBe(0o644);
    expect(/Matched data: ([\d,]+)/.exec(ours.stdout)?.[1]?.length).toBeGreaterThan(6);
  });

  it('no permissions, no times, no owners', async () => {
    bench.prepare(
      'echo 1 > a; mkdir d; chmod 700 d; chmod 600 a; chown 5:6 a; echo x > d/x; ln -s a l',
    );
    const [ours, stock] = await bench.push(served, ['-rlDi']);
    expect(items(ours)).toEqual(items(stock));
    const modes = (side: string) => ['a', 'd', 'd/x'].map((n) => fs.statSync(join(side, n)).mode);
    expect(modes(bench.ours)).toEqual(modes(bench.stocks));
    expect(fs.statSync(join(bench.ours, 'a')).uid).toBe(0);
  });

  it('owners by name', async () => {
    bench.prepare(
      'echo 1 > a; chown nobody:nogroup a 2>/dev/null || chown 65534:65534 a; echo 2 > b; chown 54321:54322 b',
    );
    await expectSame(['-ai']);
    await expectSame(['-ai', '--numeric-ids']);
  });

  it('pipes and devices', async () => {
    bench.prepare('mkfifo p; mknod c c 1 3; mknod b b 7 200; mkfifo "$(printf "odd\\\\377")"');
    await expectSame(['-ai']);
    expect(await expectSame(['-ai'])).toEqual([]);
    bench.prepare('rm c; mknod c c 1 5');
    await expectSame(['-ai']);
  });
});

describe('random trees', () => {
  it('become the same on both servers, with the same items, whatever existed before', async () => {
    const options = fc.constantFrom(
      ['-ai'],
      ['-aic'],
      ['-aiI'],
      ['-ain'],
      ['-aHi'],
      ['-rli'],
      ['-rlic'],
      ['-rlpin'],
    );
    const property = fc.asyncProperty(
      randomShape,
      randomShape,
      options,
      async (before, after, args) => {
        for (const side of [bench.source, bench.ours, bench.stocks]) {
          fs.rmSync(side, { recursive: true, force: true });
          fs.mkdirSync(side);
        }
        for (const side of [bench.ours, bench.stocks]) buildShape(side, before);
        bench.prepareDestinations(':');
        buildShape(bench.source, after);
        bench.prepare(':');
        const [ours, stock] = await bench.push(served, [...args, '--delete-after']);
        expect([ours.code, ours.stderr]).toEqual([stock.code, stock.stderr]);
        expect(items(ours)).toEqual(items(stock));
        if (!args[0].startsWith('-a')) return; // without -t, times are those of the copying
        expect(await snapshot(bench.ours)).toEqual(await snapshot(bench.stocks));
      },
    );
    await fc.assert(property, { numRuns: 40 });
  });
});

describe('sizes', () => {
  it('a file of 200 MiB, fresh and changed', async () => {
    bench.prepare('head -c 209715200 /dev/urandom > big');
    await expectSame(['-ai']);
    bench.prepare(
      'dd if=/dev/urandom of=big bs=4096 seek=25000 count=3 conv=notrunc status=none; printf tail >> big',
    );
    const [ours] = await bench.push(served, ['-a', '--stats']);
    const literal = Number(/Literal data: ([\d,]+)/.exec(ours.stdout)?.[1]?.replaceAll(',', ''));
    expect(literal).toBeLessThan(200_000);
    expect(await snapshot(bench.ours)).toEqual(await snapshot(bench.source));
  });

  it('a file beyond 4 GiB, as a delta against a sparse one', async () => {
    const size = 4_300_000_000;
    for (const side of [bench.source, bench.ours]) {
      fs.writeFileSync(join(side, 'big'), 'start');
      fs.truncateSync(join(side, 'big'), size);
    }
    fs.appendFileSync(join(bench.source, 'big'), 'end');
    const args = ['-a', '-B131072', '--stats', `${bench.source}/`, `host:${bench.ours}/`];
    const pushed = await served.push(args);
    expect(pushed).toMatchObject({ code: 0, stderr: '' });
    const fd = fs.openSync(join(bench.ours, 'big'), 'r');
    const tail = Buffer.alloc(10);
    expect(fs.readSync(fd, tail, 0, 10, size - 4)).toBe(7);
    fs.closeSync(fd);
    expect(tail.subarray(0, 7).toString()).toBe('\0\0\0\0end');
  }, 240_000);

  it('5,000 files in 50 folders', async () => {
    bench.prepare(
      'for d in $(seq 50); do mkdir d$d; for f in $(seq 100); do echo $d $f > d$d/f$f; done; done',
    );
    await expectSame(['-ai']);
    expect(await expectSame(['-ai'])).toEqual([]);
  });
});
