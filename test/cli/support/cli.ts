import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import { canRunWarm, runWarm } from '../../support/warm-commands.ts';

/** How a command ended and what it printed. */
export interface CliResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a command is given beside its words. */
export interface CliOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
  readonly onStart?: (child: ChildProcess) => void;
  /** In a process of its own: the test has to do with that process. */
  readonly alone?: true;
}

/** Runs a built `ecsync` as a user or a scheduler does. */
export class Cli {
  readonly main: string;

  /** @param built - what `buildSources()` made */
  constructor(built: string) {
    this.main = path.join(built, 'dist/cli/main.js');
  }

  /** Without a terminal. */
  async run(words: readonly string[], options: CliOptions = {}): Promise<CliResult> {
    const { input, onStart, alone } = options;
    const { cwd, env, stdio } = settings(options);
    if ((input ?? onStart ?? alone) !== undefined || !canRunWarm(env)) {
      return collect(spawn(process.execPath, [this.main, ...words], { cwd, env, stdio }), options);
    }
    const result = await runWarm({ program: this.main, words, cwd, environment: env });
    return { ...result, stdout: result.stdout.toString(), stderr: result.stderr.toString() };
  }

  /** On a pseudo-terminal. */
  onTerminal(
    words: readonly string[],
    answers: readonly Answer[],
    options: CliOptions = {},
  ): Promise<CliResult> {
    const line = [process.execPath, this.main, ...words].map(quote).join(' ');
    return onTerminal(line, answers, options);
  }
}

/** What is typed on a terminal, and the question after which it is. */
export interface Answer {
  readonly after: string | RegExp;
  readonly type: string;
}

/**
 * Runs a line of a shell on a pseudo-terminal of util-linux `script`. Each answer is typed when its
 * question has appeared; a pattern sees the text without what moves the cursor.
 */
export function onTerminal(
  line: string,
  answers: readonly Answer[],
  options: CliOptions = {},
): Promise<CliResult> {
  const child = spawn('script', ['-qefc', line, '/dev/null'], settings(options));
  let seen = '';
  const waiting = [...answers];
  child.stdout.on('data', (chunk: Buffer) => {
    seen += chunk.toString();
    const next = waiting[0];
    if (next === undefined || !isShown(next.after, seen)) return;
    waiting.shift();
    seen = '';
    child.stdin.write(next.type);
  });
  return collect(child, { ...options, keepOpen: true });
}

function isShown(question: string | RegExp, seen: string): boolean {
  return typeof question === 'string' ? seen.includes(question) : question.test(plainText(seen));
}

/** What was shown on a terminal, without the sequences that move its cursor. */
export function plainText(shown: string): string {
  // eslint-disable-next-line no-control-regex -- that is what a terminal gets
  return shown.replace(/\u001b\[[0-9;?]*[A-Za-z]/g, '');
}

function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

function settings(options: CliOptions): {
  cwd: string;
  env: Record<string, string>;
  stdio: ['pipe', 'pipe', 'pipe'];
} {
  const PATH = process.env['PATH'] ?? '';
  const env = { PATH, HOME: '/nonexistent', LC_ALL: 'C.UTF-8', TERM: 'xterm' };
  return {
    cwd: options.cwd ?? '/',
    env: { ...env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  };
}

function collect(
  child: ReturnType<typeof spawn>,
  options: CliOptions & { keepOpen?: boolean },
): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.stdin?.on('error', () => undefined); // the command may end without reading it
    if (options.keepOpen !== true) child.stdin?.end(options.input ?? '');
    child.on('error', reject);
    // A grandchild that was left behind may keep the streams open: the exit counts.
    child.on('exit', (code, signal) =>
      setTimeout(() => resolve(ended(code, signal)), 5000).unref(),
    );
    child.on('close', (code, signal) => resolve(ended(code, signal)));
    const ended = (code: number | null, signal: NodeJS.Signals | null): CliResult => ({
      code,
      signal,
      stdout: Buffer.concat(stdout).toString('utf8'),
      stderr: Buffer.concat(stderr).toString('utf8'),
    });
    options.onStart?.(child);
  });
}
