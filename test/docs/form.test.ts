// Goal: documents can be read in a terminal and beside code, the front page stays one, and no link leads nowhere.
import { describe, expect, it } from 'vitest';
import {
  brokenLink,
  codeIn,
  DOCUMENTS,
  isSourcePath,
  isThere,
  linesOf,
  linksIn,
  proseOf,
} from './support/documents.ts';

const TABLE_LINE_MAX = 160;
const FRONT_PAGE_LINES_MAX = 150;

describe.each(DOCUMENTS)('%s', (document) => {
  it('has no line of a table that is too long to read', () => {
    const long = linesOf(document).flatMap((line, index) =>
      line.startsWith('|') && Array.from(line).length > TABLE_LINE_MAX
        ? [`${document}:${index + 1}`]
        : [],
    );
    expect(long).toEqual([]);
  });

  it('links to files and headings that are there', () => {
    const broken = linksIn(proseOf(document)).flatMap(({ line, target }) => {
      const missing = brokenLink(document, target);
      return missing === undefined ? [] : [`${document}:${line}: ${missing}`];
    });
    expect(broken).toEqual([]);
  });

  it('names files of the repository that are there', () => {
    const missing = codeIn(proseOf(document))
      .filter(({ code }) => isSourcePath(code) && !isThere(code))
      .map(({ line, code }) => `${document}:${line}: ${code}`);
    expect(missing).toEqual([]);
  });
});

describe('README.md', () => {
  it('is a front page', () => {
    expect(linesOf('README.md').length).toBeLessThanOrEqual(FRONT_PAGE_LINES_MAX);
  });

  it('leads to every page of docs/', () => {
    const linked = linksIn(proseOf('README.md')).map(({ target }) => target.replace(/#.*/, ''));
    const pages = DOCUMENTS.filter((document) => document.startsWith('docs/'));
    expect(pages.filter((page) => !linked.includes(page))).toEqual([]);
  });
});
