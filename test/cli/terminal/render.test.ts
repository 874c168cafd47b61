import { describe, expect, it } from 'vitest';
import { ConnectionError, InterruptedError } from '../../../src/errors.ts';
import { failureLines } from '../../../src/cli/frame/failure.ts';
import { describeFailure } from '../../../src/library/failure.ts';
import { shownBytes, shownCount, shownDuration } from '../../../src/library/figures.ts';
import { Output, type OutputStream } from '../../../src/cli/terminal/output.ts';
import { itemEvent, itemName, itemText } from '../../../src/cli/terminal/render-item.ts';
import { ProgressReport, progressText } from '../../../src/cli/terminal/render-progress.ts';
import { statsLines, summaryText } from '../../../src/cli/terminal/render-summary.ts';
import { columnsOf } from '../../../src/cli/terminal/terminal.ts';

// What the command line prints for a push, byte for byte.

class Screen implements OutputStream {
  text = '';
  readonly isTTY: boolean;
  readonly columns = 60;
  constructor(isTTY: boolean) {
    this.isTTY = isTTY;
  }
  write(chunk: unknown): boolean {
    this.text += Buffer.isBuffer(chunk) ? chunk.toString() : String(chunk);
    return true;
  }
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

describe('item lines', () => {
  const line = { change: '>f+++++++++', path: bytes('a b\n\xff'), plain: true };

  it('are rsync’s eleven characters and the escaped path', () => {
    expect(itemText(line)).toBe('>f+++++++++ a b\\n\\377');
    const target = { arrow: '->', bytes: bytes('../x') } as const;
    expect(itemText({ ...line, change: 'cL+++++++++', target })).toBe(
      'cL+++++++++ a b\\n\\377 -> ../x',
    );
    expect(itemText({ ...line, plain: false })).toContain('(not a name of this vault)');
    expect(itemName({ ...line, change: '*deleting  ' })).toBe('deleting a b\\n\\377');
  });

  it('are JSON events that keep every byte', () => {
    expect(itemEvent(line)).toEqual({
      type: 'item',
      change: '>f+++++++++',
      path: 'a b\\n\\377',
      pathBase64: bytes('a b\n\xff').toString('base64'),
      plain: true,
    });
    expect(itemEvent({ ...line, path: Buffer.from('ä\n') })['path']).toBe('ä\n');
  });
});

describe('figures', () => {
  it('read well', () => {
    expect([0, 1023, 1024, 1536, 102_400, 1_048_575, 5e9].map(shownBytes)).toEqual([
      '0 B',
      '1023 B',
      '1.0 KiB',
      '1.5 KiB',
      '100 KiB',
      '1.0 MiB',
      '4.7 GiB',
    ]);
    expect([1, 1000, 1234567].map(shownCount)).toEqual(['1', '1,000', '1,234,567']);
    expect([7, 65, 3600].map(shownDuration)).toEqual(['0:07', '1:05', '1:00:00']);
  });
});

describe('progress', () => {
  const progress = {
    stage: 'send',
    filesDone: 1234,
    filesTotal: 5678,
    bytesDone: 3 * 1024 * 1024,
    bytesTotal: 6 * 1024 * 1024,
    current: Buffer.from('some/very/long/path/日本語/\u001b[31mname'),
  } as const;

  it('fits any width', () => {
    for (let columns = 1; columns < 150; columns++) {
      expect(columnsOf(progressText(progress, 1024 * 1024, columns))).toBeLessThanOrEqual(columns);
    }
    expect(progressText(progress, 1024 * 1024, 29)).toMatch(/^\d+% {2}/);
    expect(progressText(progress, 1024 * 1024, 200)).toBe(
      '50%  1,234/5,678 files  3.0 MiB/6.0 MiB  1.0 MiB/s  ETA 0:03  some/very/long/path/日本語/\\033[31mname',
    );
    expect(progressText({ ...progress, stage: 'scan' }, undefined, 80)).toBe(
      'looking at the files: 5,678',
    );
  });

  it('says what is going on, and keeps the share where there is little room', () => {
    const at = (stage: 'compare' | 'send' | 'delete' | 'finish'): string =>
      progressText({ ...progress, stage }, undefined, 29);
    expect(at('compare')).toBe('50%  comparing');
    expect(at('send')).toBe('50%  1,234/5,678 files');
    expect(at('delete')).toBe('50%  deleting');
    expect(at('finish')).toBe('50%  finishing');
  });

  function report(mode: { json?: boolean; statusLine?: boolean }, wanted: boolean): string {
    const [stdout, stderr] = [new Screen(false), new Screen(true)];
    const out = new Output(stdout, stderr);
    out.mode = { quiet: false, verbose: false, json: false, statusLine: false, ...mode };
    let nowMs = 0;
    const shownProgress = new ProgressReport(out, wanted, () => nowMs);
    for (; nowMs < 6000; nowMs += 50) shownProgress.show({ ...progress, filesDone: nowMs });
    out.clearStatus();
    out.flush();
    return stdout.text + stderr.text;
  }

  it('rewrites one line on a terminal and takes it away in the end', () => {
    const text = report({ statusLine: true }, false);
    expect(text.split('\r').length).toBe(62);
    expect(text.endsWith('\r\u001b[K')).toBe(true);
    expect(text).not.toContain('\n');
  });

  it('prints whole lines now and then where there is no terminal, but only when asked', () => {
    expect(report({}, false)).toBe('');
    const lines = report({}, true).trimEnd().split('\n');
    expect(lines).toHaveLength(2);
    expect(lines[0]).toContain('50%');
  });

  it('is JSON with --json', () => {
    const lines = report({ json: true }, true).trimEnd().split('\n');
    expect(lines).toHaveLength(12);
    expect(JSON.parse(lines[1] ?? '')).toMatchObject({
      type: 'progress',
      stage: 'send',
      filesDone: 500,
    });
  });
});

describe('Output', () => {
  it('keeps the status line apart from data and messages', () => {
    const screen = new Screen(true);
    const out = new Output(screen, screen);
    out.mode = { ...out.mode, statusLine: true };
    out.status('working');
    out.data('line');
    out.alert('warning: \u001b[31m');
    out.clearStatus();
    expect(screen.text).toBe(
      '\rworking\u001b[K\r\u001b[Kline\n\rworking\u001b[K\r\u001b[Kwarning: \\033[31m\n\rworking\u001b[K\r\u001b[K',
    );
  });

  it('drops data once nobody reads it, and leaves notes out with -q', () => {
    const [stdout, stderr] = [new Screen(false), new Screen(false)];
    const out = new Output(stdout, stderr);
    out.data('one');
    out.flush();
    out.close();
    out.data('two');
    out.flush();
    out.mode = { ...out.mode, quiet: true };
    out.note('a note');
    out.alert('an alert');
    expect([stdout.text, stderr.text]).toEqual(['one\n', 'an alert\n']);
  });
});

describe('failures', () => {
  it('are one line, a hint, and no stack', () => {
    const failure = describeFailure(
      new ConnectionError('connection-lost', 'host: \u001b]0;x\u0007 gone', {
        hint: 'Run it again.',
      }),
      false,
    );
    expect(failure.exitCode).toBe(30);
    expect(failureLines(failure, true)).toEqual([
      'ecsync: host: \\033]0;x\\007 gone',
      'hint: Run it again.',
    ]);
  });

  it('show a stack only when nobody foresaw them and somebody asks', () => {
    const failure = describeFailure(new TypeError('x is not a function'), false);
    expect(failure.exitCode).toBe(1);
    expect(failureLines(failure, false).join('\n')).not.toContain('render.test.ts');
    expect(failureLines(failure, false)[0]).toContain('this is a bug');
    expect(failureLines(failure, true).join('\n')).toContain('render.test.ts');
  });

  it('count as interrupted when a signal asked to stop', () => {
    expect(describeFailure(new Error('aborted'), true).exitCode).toBe(130);
    const thrown = new InterruptedError('interrupted', 'interrupted');
    expect(describeFailure(thrown, false).code).toBe('interrupted');
  });
});

describe('the end of a push', () => {
  const summary = {
    exitCode: 0,
    filesTotal: 1234,
    filesSent: 12,
    filesDeleted: 3,
    filesKept: 0,
    literalBytes: 4_400_000,
    matchedBytes: 7,
    bytesSent: 4_500_000,
    bytesReceived: 1200,
    elapsedMs: 1234,
    totalBytes: 9_999_999,
    runs: 2,
    largest: [],
  } as const;

  it('is one line, and a block with --stats', () => {
    expect(summaryText(summary, 'u@h:p', false)).toBe(
      'pushed to u@h:p: 12 of 1,234 sent, 3 deleted; 4.3 MiB over the wire in 1.2 s',
    );
    expect(summaryText({ ...summary, filesDeleted: 0 }, 'u@h:p', true)).toBe(
      'dry run, nothing was changed at u@h:p: 12 of 1,234 sent',
    );
    expect(statsLines(summary)).toContain('literal data:              4,400,000 bytes');
  });
});
