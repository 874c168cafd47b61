// The campaign's final output: a row for each part, and every finding with the command that
// reproduces it.
import type { JournalLine } from './journal.ts';
import type { Part } from './part.ts';

/** The summed figures of a part, as `name 1,234`. */
function figuresOf(lines: readonly JournalLine[]): string {
  const sums = new Map<string, number>();
  for (const { figures } of lines) {
    for (const [name, count] of Object.entries(figures)) {
      sums.set(name, (sums.get(name) ?? 0) + count);
    }
  }
  return [...sums]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, count]) => `${name} ${count.toLocaleString('en')}`)
    .join(', ');
}

export function resultTable(parts: readonly Part[], all: readonly JournalLine[]): string {
  const rows = parts.map(({ name, checks }) => {
    const lines = all.filter((line) => line.part === name);
    const findings = lines.filter((line) => line.findings.length > 0).length;
    return `| ${name} | ${lines.length} | ${checks} | ${figuresOf(lines)} | ${findings} |`;
  });
  return [
    '| part | points | checked at each | figures | points with findings |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n');
}

/** One point with findings, and how to reproduce it. */
export function findingText({ part, seed, point, what, findings }: JournalLine): string {
  const lines = findings.map((finding) => `    ${finding.replaceAll('\n', '\n      ')}`);
  return [`--part ${part} --seed ${seed} --point ${point}: ${what}`, ...lines].join('\n');
}
