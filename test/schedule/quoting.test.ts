import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { UsageError } from '../../src/errors.ts';
import {
  cronBlock,
  findBlock,
  quoteCron,
  shellCommandOf,
  withBlock,
  withoutBlock,
} from '../../src/schedule/crontab.ts';
import { jobArguments } from '../../src/schedule/plan.ts';
import { quoteSystemd } from '../../src/schedule/systemd-units.ts';
import { quoteWindows } from '../../src/schedule/windows-task.ts';
import { escapeXml } from '../../src/schedule/xml.ts';
import { planWith, unescapeXml } from './support.ts';

// Every quoting is parsed back by the rules of its reader, with words made of special characters.

const SPECIAL = [
  ' ',
  '%',
  '$',
  '"',
  "'",
  '\\',
  '`',
  '&',
  '<',
  '>',
  '#',
  ';',
  '~',
  '(',
  ')',
  '{',
  '}',
  'n',
  'a',
  'ü',
  '📷',
  '*',
  '!',
];
const word = fc
  .array(fc.constantFrom(...SPECIAL), { maxLength: 12 })
  .map((parts) => parts.join(''));

it('systemd: quotes, C escapes and specifiers', () => {
  const read = (text: string): string => {
    expect(text).toMatch(/^"(?:[^"\\]|\\["\\])*"$/);
    // Only doubled percents may be there: a single one would be a specifier.
    expect(text.replaceAll('%%', '')).not.toContain('%');
    return text.slice(1, -1).replace(/\\(.)/gu, '$1').replaceAll('%%', '%');
  };
  fc.assert(
    fc.property(word, (text) => {
      expect(read(quoteSystemd(text))).toBe(text);
    }),
  );
});

/** The rules of CommandLineToArgvW, for a command line without a program in front. */
function argvOf(line: string): readonly string[] {
  const words: string[] = [];
  let [current, isQuoted, isOpen] = ['', false, false];
  for (let at = 0; at < line.length; at++) {
    const run = /^\\*/.exec(line.slice(at))?.[0].length ?? 0;
    if (run > 0 && line[at + run] === '"') {
      current += '\\'.repeat(Math.floor(run / 2));
      at += run;
      isOpen = true;
      if (run % 2 === 1) current += '"';
      else isQuoted = !isQuoted;
    } else if (line[at] === '"') [isQuoted, isOpen] = [!isQuoted, true];
    else if (line[at] === ' ' && !isQuoted) {
      if (isOpen) words.push(current);
      [current, isOpen] = ['', false];
    } else [current, isOpen] = [current + (line[at] ?? ''), true];
  }
  return isOpen ? [...words, current] : words;
}

it('Windows: CommandLineToArgvW parses every word back, or the word is refused', () => {
  const words = fc.array(word, { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(words, (texts) => {
      const isReplaced = texts.some((text) => /%[^%"]+%/.test(text) || text.includes('$('));
      if (isReplaced) expect(() => texts.map(quoteWindows)).toThrow(UsageError);
      else expect(argvOf(texts.map(quoteWindows).join(' '))).toEqual(texts);
    }),
  );
});

/**
 * What crons do to a command: `halves` those that also take a backslash before a backslash away.
 */
function afterCron(command: string, halves: boolean): string {
  let out = '';
  for (let at = 0; at < command.length; at++) {
    const [here, next] = [command[at], command[at + 1]];
    if (here === '%') throw new Error('an end of line for cron');
    if (here === '\\' && (next === '%' || (halves && next === '\\'))) {
      out += next;
      at += 1;
    } else if (here === '\\' && halves && next !== undefined) {
      out += here + next;
      at += 1;
    } else out += here ?? '';
  }
  return out;
}

it('cron: after either kind of cron, sh has the same words', () => {
  const lists = fc.array(word, { minLength: 20, maxLength: 40 });
  fc.assert(
    fc.property(lists, (texts) => {
      const command = ['printf', '%s\\n'].map(quoteCron).concat(texts.map(quoteCron)).join(' ');
      for (const halves of [false, true]) {
        const shell = afterCron(command, halves);
        expect(shell).toBe(shellCommandOf(command));
        const printed = execFileSync('/bin/sh', ['-c', shell]).toString();
        expect(printed).toBe(texts.map((text) => `${text}\n`).join(''));
      }
    }),
    { numRuns: 25 },
  );
});

it('XML: xmllint and plistutil parse every word back', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'ecsync-xml-'));
  try {
    const lists = fc.array(word, { minLength: 20, maxLength: 40 });
    fc.assert(
      fc.property(lists, (texts) => {
        const file = path.join(folder, 'words.plist');
        const strings = texts.map((text) => `<string>${escapeXml(text)}</string>`).join('');
        writeFileSync(file, `<plist version="1.0"><array>${strings}</array></plist>`);
        const binary = `${file}.bin`;
        execFileSync('plistutil', ['-i', file, '-f', 'bin', '-o', binary]);
        const xml = execFileSync('plistutil', ['-i', binary, '-f', 'xml']).toString();
        const read = [...xml.matchAll(/<string>(.*?)<\/string>|<string\/>/gs)];
        expect(read.map(([, text = '']) => unescapeXml(text))).toEqual(texts);
        const xpath = `string(//string[${texts.length}])`;
        const last = execFileSync('xmllint', ['--xpath', xpath, file]).toString();
        expect(last).toBe(`${texts.at(-1) ?? ''}\n`);
      }),
      { numRuns: 15 },
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it.each(['line\nbreak', 'nul\0', 'escape\u001b[0m', 'half a character \ud83d', 'next line\u0085'])(
  'no format carries %j: it is refused',
  (text) => {
    expect(() => jobArguments(planWith({ pushArguments: ['--exclude', text] }))).toThrow(
      expect.objectContaining({ code: 'schedule-word-invalid' }),
    );
  },
);

it('cron: a command that is too long for a crontab is refused', () => {
  const pushArguments = Array.from({ length: 60 }, (_, i) => `--exclude=folder number ${i}`);
  expect(() => cronBlock(planWith({ pushArguments }))).toThrow(
    expect.objectContaining({ code: 'schedule-too-long' }),
  );
});

const NAME = 'one-0123456789';
const LONGER = `${NAME}0`;

it('crontab: foreign lines stay unchanged, wherever ours are', () => {
  const line = fc.constantFrom(
    '# comment',
    '0 1 * * * other',
    '',
    'MAILTO=ann',
    '# BEGIN ecsync other-1',
  );
  const text = fc
    .tuple(fc.array(line, { maxLength: 6 }), fc.boolean())
    .map(([lines, isEnded]) => lines.join('\n') + (isEnded && lines.length > 0 ? '\n' : ''));
  const first = cronBlock(planWith({ name: NAME }));
  const second = cronBlock(planWith({ name: LONGER }));
  const changed = cronBlock(planWith({ name: NAME, remotes: 'all' }));
  fc.assert(
    fc.property(text, (before) => {
      const ended = before === '' || before.endsWith('\n') ? before : `${before}\n`;
      const both = withBlock(withBlock(before, NAME, first), LONGER, second);
      expect(withBlock(both, NAME, first)).toBe(both);
      expect(withoutBlock(withoutBlock(both, NAME), LONGER)).toBe(ended);
      expect(withoutBlock(both, NAME)).toBe(withBlock(ended, LONGER, second));
      expect(findBlock(withBlock(both, NAME, changed), NAME)?.command).toContain('--all');
      expect(findBlock(both, 'absent-1')).toBeUndefined();
    }),
  );
});

it('crontab: incomplete lines of ours are refused', () => {
  const [begin = '', ...rest] = cronBlock(planWith());
  for (const damaged of [`${begin}\n0 1 * * * other\n`, `${rest.join('\n')}\n`]) {
    expect(() => withoutBlock(damaged, planWith().name)).toThrow(
      expect.objectContaining({ code: 'crontab-damaged' }),
    );
  }
});
