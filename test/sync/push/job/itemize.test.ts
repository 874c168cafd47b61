import { describe, expect, it } from 'vitest';
import {
  isHardLink,
  isNew,
  isSignificant,
  isTransfer,
  itemize,
} from '../../../../src/sync/push/job/itemize.ts';

const FILE = 0o100644;
const DIRECTORY = 0o040755;

/** Known answers: what stock rsync 3.5.0 prints with `-i` for the same item flags. */
describe('itemize', () => {
  it.each([
    { mode: FILE, iflags: 0xa000, line: '<f+++++++++' },
    { mode: DIRECTORY, iflags: 0x6000, line: 'cd+++++++++' },
    { mode: 0o120777, iflags: 0x6002, line: 'cL+++++++++' },
    { mode: 0o010644, iflags: 0x6000, line: 'cS+++++++++' },
    { mode: 0o020644, iflags: 0x6000, line: 'cD+++++++++' },
    { mode: 0o060644, iflags: 0x6000, line: 'cD+++++++++' },
    { mode: FILE, iflags: 0x800c, line: '<f.st......' },
    { mode: FILE, iflags: 0x8008, line: '<f..t......' },
    { mode: FILE, iflags: 0x8002, line: '<fc........' },
    { mode: FILE, iflags: 0x0010, line: '.f...p.....' },
    { mode: FILE, iflags: 0x0060, line: '.f....og...' },
    { mode: DIRECTORY, iflags: 0x0008, line: '.d..t......' },
    { mode: FILE, iflags: 0x7000, line: 'hf+++++++++' },
    { mode: FILE, iflags: 0x5000, line: 'hf.........' },
    { mode: 0o120777, iflags: 0x4002, line: 'cLc........' },
    { mode: FILE, iflags: 0x0180, line: '.f.......ax' },
  ])('prints $line', ({ mode, iflags, line }) => {
    expect(itemize(mode, iflags)).toBe(line);
    expect(itemize(mode, iflags)).toHaveLength(11);
  });

  it('tells records apart', () => {
    expect(isTransfer(0xa000)).toBe(true);
    expect(isTransfer(0x6000)).toBe(false);
    expect(isNew(0xa000)).toBe(true);
    expect(isHardLink(0x7000)).toBe(true);
    expect(isHardLink(0x1000)).toBe(false);
    expect(isSignificant(0)).toBe(false);
    expect(isSignificant(0x0001)).toBe(false);
    expect(isSignificant(0x0008)).toBe(true);
  });
});
