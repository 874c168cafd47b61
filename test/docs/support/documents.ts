/** The documents that people read, and what is in them: fences, commands in the text, links and headings. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

export const ROOT = path.resolve(import.meta.dirname, '../../..');

/** Every document that a reader finds, by its path in the repository. */
export const DOCUMENTS: readonly string[] = [
  ...['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'SECURITY.md', 'FORMAT.md'],
  ...readdirSync(path.join(ROOT, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

/** A block of code between two lines of three backticks. */
export interface Fence {
  readonly document: string;
  /** Line of its first backticks, from 1. */
  readonly line: number;
  /** The heading that it stands below. */
  readonly heading: string;
  /** What follows the backticks: `sh`, `toml`; empty when nothing does. */
  readonly language: string;
  /** Its lines, each with a newline. */
  readonly text: string;
}

/** A document without its fences, each line at its number. */
export interface Prose {
  readonly document: string;
  readonly lines: readonly string[];
}

export function linesOf(document: string): readonly string[] {
  return readFileSync(path.join(ROOT, document), 'utf8').split('\n');
}

function split(document: string): { fences: Fence[]; prose: string[] } {
  const fences: Fence[] = [];
  const prose: string[] = [];
  let heading = '';
  let open: { line: number; language: string; lines: string[] } | undefined;
  for (const [index, line] of linesOf(document).entries()) {
    const [, language] = /^\s*```(\S*)$/.exec(line) ?? [];
    prose.push(open === undefined && language === undefined ? line : '');
    if (open !== undefined && language === '') {
      const text = open.lines.map((one) => `${one}\n`).join('');
      const { line: first, language: own } = open;
      fences.push({ document, line: first, heading, language: own, text });
      open = undefined;
    } else if (open !== undefined) {
      open.lines.push(line);
    } else if (language !== undefined) {
      open = { line: index + 1, language, lines: [] };
    } else {
      heading = /^#+ (.*)$/.exec(line)?.[1] ?? heading;
    }
  }
  if (open !== undefined) throw new Error(`${document}:${open.line}: the fence has no end`);
  return { fences, prose };
}

export function fencesOf(document: string): readonly Fence[] {
  return split(document).fences;
}

export function proseOf(document: string): Prose {
  return { document, lines: split(document).prose };
}

/** What stands between backticks in the text, with the line it is in. */
export function codeIn({
  lines,
}: Prose): readonly { readonly line: number; readonly code: string }[] {
  return lines.flatMap((text, index) =>
    [...text.matchAll(/`([^`]+)`/g)].map(([, code = '']) => ({ line: index + 1, code })),
  );
}

/** Where the relative links of a document lead, as they are written. */
export function linksIn(
  prose: Prose,
): readonly { readonly line: number; readonly target: string }[] {
  return prose.lines.flatMap((text, index) =>
    [...text.matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target = '']) => ({ line: index + 1, target }))
      .filter(({ target }) => !/^[a-z]+:/.test(target)),
  );
}

/** The anchors that a Markdown file has, as GitHub makes them of its headings. */
export function anchorsOf(document: string): ReadonlySet<string> {
  const anchors = new Set<string>();
  for (const line of proseOf(document).lines) {
    const [, heading] = /^#{1,6} (.*)$/.exec(line) ?? [];
    if (heading === undefined) continue;
    const anchor = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\p{Pc} -]/gu, '')
      .replaceAll(' ', '-');
    let unique = anchor;
    for (let n = 1; anchors.has(unique); n++) unique = `${anchor}-${n}`;
    anchors.add(unique);
  }
  return anchors;
}

/** @returns undefined when the link leads somewhere, otherwise what is missing */
export function brokenLink(document: string, target: string): string | undefined {
  const [file = '', anchor] = target.split('#');
  const linked = file === '' ? document : path.join(path.dirname(document), file);
  if (!existsSync(path.join(ROOT, linked))) return `${linked} does not exist`;
  if (anchor === undefined) return undefined;
  return anchorsOf(linked).has(anchor) ? undefined : `${linked} has no heading #${anchor}`;
}

/** Where paths in the text may start: at the repository, or at `src/`, as ARCHITECTURE.md says. */
const STARTS = ['', 'src'];

/** True for text between backticks that names a file of this repository by its path. */
export function isSourcePath(code: string): boolean {
  return /^(?!dist\/)[a-z][\w-]*\/[\w./-]+\.(?:ts|cjs|mjs|sh|wat|json|py|md)$/.test(code);
}

export function isThere(file: string): boolean {
  return STARTS.some((start) => existsSync(path.join(ROOT, start, file)));
}
