import fc from 'fast-check';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  ANY_NAMES,
  escapeName,
  fittingName,
  targetNames,
  unescapeName,
  WINDOWS_NAMES,
  type NameRules,
} from '../../../src/tree/target/target-names.ts';
import { probeNames } from '../../../src/tree/target/target-names-probe.ts';

const APPLE: NameRules = { ...ANY_NAMES, foldsCase: true, foldsForms: true, utf8Only: true };
const RULES = { ANY_NAMES, WINDOWS_NAMES, APPLE };

/** Names that a Linux folder can hold, with much that causes trouble on other systems. */
const anyName = fc
  .oneof(
    fc.uint8Array({ minLength: 1, maxLength: 255 }),
    fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' }).map((text) => Buffer.from(text)),
    fc
      .array(
        fc.constantFrom(
          'con',
          'COM1',
          'nul',
          'aux',
          '.',
          ' ',
          'a',
          'A',
          'é',
          'e\u0301',
          'ß',
          'SS',
          '%',
          '41',
          '2e',
          ':',
          '~2',
          '.txt',
        ),
        { minLength: 1, maxLength: 6 },
      )
      .map((parts) => Buffer.from(parts.join(''))),
  )
  .map((bytes) => Buffer.from(bytes).map((byte) => (byte === 0 || byte === 0x2f ? 0x2d : byte)))
  .map((bytes) => Buffer.from(bytes).subarray(0, 255))
  .filter((name) => !['.', '..'].includes(name.toString('latin1')));

const folder = fc.uniqueArray(anyName, {
  maxLength: 12,
  selector: (name) => name.toString('latin1'),
});

function shown(names: readonly Uint8Array[]): string[] {
  return names.map((name) => Buffer.from(name).toString());
}

function windowsNames(...names: string[]): string[] {
  return shown(
    targetNames(
      names.map((name) => Buffer.from(name)),
      WINDOWS_NAMES,
    ),
  );
}

describe('known answers for Windows', () => {
  it.each([
    ['plain', 'plain'],
    ['a:b', 'a%3Ab'],
    ['what?', 'what%3F'],
    ['con', '%63on'],
    ['CON.txt', '%43ON.txt'],
    ['com1', '%63om1'],
    ['com¹.log', '%63om¹.log'],
    ['console', 'console'],
    ['nul .x', '%6Eul .x'],
    ['dot.', 'dot%2E'],
    ['space ', 'space%20'],
    ['new\nline', 'new%0Aline'],
    ['back\\slash', 'back%5Cslash'],
    ['100%', '100%'],
    ['100%41', '100%2541'],
    ['ünï', 'ünï'],
  ])('%j becomes %j', (name, expected) => {
    expect(windowsNames(name)).toEqual([expected]);
  });

  it('case: the first keeps its name, the others get a number before their ending', () => {
    expect(windowsNames('a.txt', 'A.txt', 'A.TXT')).toEqual(['a~3.txt', 'A~2.txt', 'A.TXT']);
    expect(windowsNames('B', 'b', 'b~2')).toEqual(['B', 'b~3', 'b~2']);
  });

  it('bytes that are not UTF-8 are escaped one by one', () => {
    const name = Buffer.from([0x61, 0xff, 0xc3]);
    expect(shown(targetNames([name], WINDOWS_NAMES))).toEqual(['a%FF%C3']);
  });

  it('a name that becomes too long is cut and gets a digest', () => {
    const [name = ''] = windowsNames(`${':'.repeat(250)}.txt`);
    expect(name).toMatch(/^(%3A)+(%3|%)?~[0-9a-f]{8}\.txt$/);
    expect(name).toHaveLength(255);
  });
});

it('composed and decomposed letters get different names where they are one name', () => {
  const names = ['é', 'e\u0301'].map((name) => Buffer.from(name));
  const result = shown(targetNames(names, APPLE));
  expect(new Set(result.map((name) => name.normalize('NFC'))).size).toBe(2);
});

it('nothing changes where every name is allowed', () => {
  fc.assert(
    fc.property(folder, (names) => {
      const result = targetNames(names, ANY_NAMES);
      expect(result.every((name, i) => name === names[i])).toBe(true);
    }),
  );
});

it('escapes are reversible', () => {
  fc.assert(
    fc.property(anyName, (name) => {
      const escaped = escapeName(name, WINDOWS_NAMES);
      // What nothing had to be done about may look like an escape only where it is none.
      const plain = escaped === name ? name : unescapeName(escaped);
      expect(Buffer.compare(plain, name)).toBe(0);
    }),
    { numRuns: 3000 },
  );
});

it.each(Object.entries(RULES))(
  'no two names of a folder are one, and all can be held: %s',
  (_name, rules) => {
    const folds = (name: Uint8Array): string => {
      const text = Buffer.from(name).toString('latin1');
      if (!rules.foldsCase) return text;
      const whole = Buffer.from(name).toString();
      return (rules.foldsForms ? whole.normalize('NFD') : whole).toUpperCase().toLowerCase();
    };
    fc.assert(
      fc.property(folder, (names) => {
        const result = targetNames(names, rules);
        expect(new Set(result.map(folds)).size).toBe(names.length);
        for (const name of result) {
          const text = Buffer.from(name).toString();
          expect(name.length).toBeGreaterThan(0);
          if (rules.utf8Only) expect(Buffer.from(text).equals(Buffer.from(name))).toBe(true);
          if (!rules.windows) continue;
          // eslint-disable-next-line no-control-regex -- these are what it is about
          expect(text).not.toMatch(/[\0-\x1f"*:<>?|\\/]|[. ]$/);
          expect(text).not.toMatch(/^(con|prn|aux|nul|com[0-9]|lpt[0-9]) *(\.|$)/i);
          expect(text.length).toBeLessThanOrEqual(255);
        }
      }),
      { numRuns: 1700 },
    );
  },
);

it('the order in which a folder is listed does not matter', () => {
  fc.assert(
    fc.property(folder, (names) => {
      const forward = targetNames(names, WINDOWS_NAMES);
      const backward = targetNames([...names].reverse(), WINDOWS_NAMES).reverse();
      expect(shown(backward)).toEqual(shown(forward));
    }),
  );
});

it('an object whose name fits keeps it', () => {
  fc.assert(
    fc.property(anyName, (name) => {
      const fitting = fittingName(name, WINDOWS_NAMES);
      fc.pre(fitting === name);
      expect(targetNames([name], WINDOWS_NAMES)[0]).toBe(name);
    }),
  );
});

it('a name of any length is cut in time that grows with its length', () => {
  const long = Buffer.alloc(300_000, 'ä.b');
  for (const rules of [ANY_NAMES, WINDOWS_NAMES]) {
    const fitting = Buffer.from(fittingName(long, rules));
    expect(fitting.toString().length).toBeGreaterThan(100);
    expect(fitting.toString().length).toBeLessThanOrEqual(255);
  }
});

it('probing finds that a folder of this machine can hold any name, and leaves it unchanged', () => {
  const at = mkdtempSync(path.join(tmpdir(), 'ecsync-names-'));
  try {
    expect(probeNames(at, 'linux')).toEqual(ANY_NAMES);
    expect(readdirSync(at)).toEqual([]);
    expect(probeNames(undefined, 'darwin')).toMatchObject({ foldsCase: true, foldsForms: true });
    expect(probeNames(at, 'win32')).toBe(WINDOWS_NAMES);
  } finally {
    rmSync(at, { recursive: true });
  }
});
