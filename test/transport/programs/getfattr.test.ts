// Goal: the output of getfattr is parsed byte for byte, however it is split, and real files with
// names and attributes of every kind are read as they were set.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { FileError, UsageError } from '../../../src/errors.ts';
import { readXattrs, requireProgram } from '../../../src/transport/programs/getfattr.ts';
import type { XattrFailure } from '../../../src/transport/programs/fattr-program.ts';
import {
  GetfattrOutput,
  type ReadObject,
} from '../../../src/transport/programs/getfattr-output.ts';

const OUTPUT = Buffer.from(
  [
    '# file: ./a\\012b\\134c\xff',
    'user.empty=0s',
    'user.n\\012\\075x\xff\\134=0scQ==',
    'user.bare',
    'user.old=""',
    '',
    '# file: .',
    'security.s=0sAP8=',
    '',
    '',
  ].join('\n'),
  'latin1',
);
const shown = ({ path, xattrs }: ReadObject): unknown => [
  path.toString('latin1'),
  ...xattrs.map(({ name, value }) => `${name.toString('latin1')}=${value.toString('hex')}`),
];
const OBJECTS = [
  ['./a\nb\\c\xff', 'user.empty=', 'user.n\n=x\xff\\=71', 'user.bare=', 'user.old='],
  ['.', 'security.s=00ff'],
];

function parse(pieces: readonly Buffer[]): unknown[] {
  const output = new GetfattrOutput();
  const objects = pieces.flatMap((piece) => output.push(piece));
  output.end();
  return objects.map(shown);
}

describe('output of getfattr', () => {
  it('is read whole and byte by byte', () => {
    expect(parse([OUTPUT])).toEqual(OBJECTS);
    expect(parse([...OUTPUT].map((byte) => Buffer.of(byte)))).toEqual(OBJECTS);
  });

  it('is read in random pieces', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(OUTPUT.length)), (cuts) => {
        const at = [0, ...cuts.sort((a, b) => a - b), OUTPUT.length];
        expect(parse(at.slice(1).map((end, i) => OUTPUT.subarray(at[i], end)))).toEqual(OBJECTS);
      }),
    );
  });

  it.each([
    ['an attribute of nothing', 'user.a=0sAA==\n'],
    ['a file inside a file', '# file: a\nuser.a=0sAA==\n# file: b\n'],
    ['a value that is not base64', '# file: a\nuser.a=0sA*==\n\n'],
    ['a value in another coding', '# file: a\nuser.a=0x00\n\n'],
    ['an end in the middle', '# file: a\nuser.a=0sAA==\n'],
    ['an end in a line', '# file: a'],
    ['an endless line', `# file: a\nuser.a=0s${'A'.repeat(300_000)}`],
  ])('%s is refused', (_, text) => {
    expect(() => parse([Buffer.from(text)])).toThrow(FileError);
  });
});

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'ecsync-xattrs-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function set(path: Buffer, name: string, hex: string): void {
  const escaped = [...path].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('');
  const input = `# file: ${escaped}\n${name}=0x${hex}\n\n`;
  execFileSync('setfattr', ['-h', '--restore=-'], { input });
}

async function read(
  root: string,
  paths: readonly (string | Buffer)[],
  onlyUser = false,
): Promise<{ objects: unknown[]; failures: XattrFailure[] }> {
  const objects: unknown[] = [];
  const failures: XattrFailure[] = [];
  await readXattrs(
    root,
    paths.map((path) => Buffer.from(path)),
    {
      onlyUser,
      signal: new AbortController().signal,
      onObject: (object) => objects.push(shown(object)),
      onFailure: (failure) => failures.push(failure),
    },
  );
  return { objects, failures };
}

describe('real files', () => {
  it('are reported in the requested order, with names that are not UTF-8', async () => {
    const root = folder();
    const odd = Buffer.from('a\nb\\ \xff\t: c', 'latin1');
    const inRoot = (name: Buffer): Buffer => Buffer.concat([Buffer.from(`${root}/`), name]);
    writeFileSync(inRoot(odd), '');
    writeFileSync(join(root, 'none'), '');
    mkdirSync(join(root, '-d'));
    symlinkSync('-d', join(root, 'link'));
    set(inRoot(odd), 'user.x', '00ff0a');
    set(inRoot(Buffer.from('-d')), 'user.d', '');
    set(inRoot(Buffer.from('link')), 'trusted.l', '31');
    const oddPath = Buffer.concat([Buffer.from('./'), odd]);
    const paths = ['./.', './none', './link', './-d', oddPath];
    const { objects, failures } = await read(root, paths);
    expect(failures).toEqual([]);
    expect(objects).toEqual([
      ['./link', 'trusted.l=31'],
      ['./-d', 'user.d='],
      [oddPath.toString('latin1'), 'user.x=00ff0a'],
    ]);
    const user = await read(root, paths, true);
    expect(user.objects).toHaveLength(2);
  });

  it('that vanished are named by their bytes, and the others are reported', async () => {
    const root = folder();
    writeFileSync(join(root, 'there'), '');
    set(Buffer.from(join(root, 'there')), 'user.x', '31');
    const gone = Buffer.from('./a: gone\n\xff\\', 'latin1');
    const { objects, failures } = await read(root, [gone, './there']);
    expect(objects).toHaveLength(1);
    expect(failures).toMatchObject([{ isGone: true, paths: [gone, Buffer.from('./a')] }]);
  });

  it('come in many batches, one after the other', async () => {
    const root = folder();
    const names = Array.from({ length: 4000 }, (_, i) => `./${'n'.repeat(60)}${i}`);
    for (const name of names) writeFileSync(join(root, name), '');
    for (const name of ['0', '1999', '3999']) {
      set(Buffer.from(join(root, 'n'.repeat(60) + name)), 'user.x', '31');
    }
    const { objects, failures } = await read(root, names);
    expect(failures).toEqual([]);
    expect(objects.map((object) => (object as string[])[0])).toEqual([
      names[0],
      names[1999],
      names[3999],
    ]);
  });

  it('are no longer read after an abort', async () => {
    const root = folder();
    const aborting = new AbortController();
    const reason = new Error('enough');
    function* endless(): Generator<Uint8Array> {
      for (let i = 0; ; i++) {
        if (i === 1000) aborting.abort(reason);
        yield Buffer.from('./.');
      }
    }
    const reading = readXattrs(root, endless(), {
      onlyUser: true,
      signal: aborting.signal,
      onObject: () => undefined,
      onFailure: () => undefined,
    });
    await expect(reading).rejects.toBe(reason);
  });
});

describe('a required program', () => {
  it('is found, or its absence is an error with a hint', () => {
    expect(() => requireProgram('getfattr', 'Install it.')).not.toThrow();
    expect(() => requireProgram('ecsync-no-such-program -x', 'Install it.')).toThrow(UsageError);
  });
});
