import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { typedBytes } from '../../../src/cli/frame/escaped-paths.ts';
import {
  columnsOf,
  fitEnd,
  jsonLine,
  shown,
  shownText,
} from '../../../src/cli/terminal/terminal.ts';

// Nothing foreign reaches a terminal unescaped, and what is shown can be read back exactly.

/** C0, DEL, C1 and what turns the direction of text. */
const DANGEROUS = /[\p{Cc}\p{Bidi_Control}\u2028\u2029\ufeff]/u;

const hostile = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
  fc
    .array(
      fc.constantFrom(
        '\u001b[31m',
        '\u001b]52;c;aGk=\u0007',
        '\u009b2J',
        '\u202e',
        '\u2066',
        '\r\n',
        '\\',
        '\\n',
        '\\033',
        '\u0000',
        '\u007f',
        'ä',
        '😀',
        'plain',
      ),
    )
    .map((parts) => Buffer.from(parts.join(''))),
);

describe('shown()', () => {
  it.each([
    ['plain/ä.txt', 'plain/ä.txt'],
    ['a\nb\tc\rd', 'a\\nb\\tc\\rd'],
    ['back\\slash', 'back\\\\slash'],
    ['\u001b[2J', '\\033[2J'],
    ['\u009b', '\\302\\233'],
    ['\u202eabc', '\\342\\200\\256abc'],
    ['\u007f', '\\177'],
  ])('shows %j', (text, expected) => {
    expect(shown(Buffer.from(text))).toBe(expected);
  });

  it.each([
    [[0xff, 0x41], '\\377A'],
    [[0xc3], '\\303'],
    [[0xc0, 0x80], '\\300\\200'],
    [[0xed, 0xa0, 0x80], '\\355\\240\\200'],
    [[0xf4, 0x90, 0x80, 0x80], '\\364\\220\\200\\200'],
    [[0xff, 0xc3, 0xa4], '\\377ä'],
  ])('shows bytes that are not UTF-8: %j', (bytes, expected) => {
    expect(shown(Uint8Array.from(bytes))).toBe(expected);
  });

  it('never lets a dangerous character through, and loses nothing', () => {
    fc.assert(
      fc.property(hostile, (bytes) => {
        const line = shown(bytes);
        expect(line).not.toMatch(DANGEROUS);
        expect(typedBytes(line, true)).toEqual(Buffer.from(bytes));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('an escaped path', () => {
  it.each(['a\\', 'a\\x41', 'a\\8', 'a\\37', 'a\\400', 'a\\ b'])('may not be %j', (typed) => {
    expect(() => typedBytes(typed, true)).toThrow('a backslash with nothing known behind it');
    expect(typedBytes(typed)).toEqual(Buffer.from(typed));
  });
});

describe('shownText() and jsonLine()', () => {
  it('never let a dangerous character through', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), hostile, (text, bytes) => {
        for (const foreign of [text, Buffer.from(bytes).toString()]) {
          expect(shownText(foreign)).not.toMatch(DANGEROUS);
          const line = jsonLine({ foreign });
          expect(line).not.toMatch(DANGEROUS);
          expect(JSON.parse(line)).toEqual({ foreign });
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('leaves a Windows path as it is', () => {
    expect(shownText('cannot read C:\\new\\table')).toBe('cannot read C:\\new\\table');
  });
});

describe('fitEnd()', () => {
  it('keeps the end of what does not fit, wide characters counted twice', () => {
    expect(fitEnd('short', 5)).toBe('short');
    expect(fitEnd('a/long/name', 6)).toBe('…/name');
    expect(columnsOf('日本')).toBe(4);
    expect(fitEnd('日本語', 4)).toBe('…語');
    expect(fitEnd('x', 0)).toBe('');
  });

  it('never takes more columns than there are', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.nat(30), (text, columns) => {
        expect(columnsOf(fitEnd(text, columns))).toBeLessThanOrEqual(columns);
      }),
    );
  });
});
