/** The command `name`: translates paths between their plaintext and their encrypted form. */
import path from 'node:path';
import { addAbortSignal } from 'node:stream';
import type { Command } from 'commander';
import { EcsyncError, ExitCode, UsageError } from '../../errors.ts';
import type { VaultFrame } from '../../vault/vault.ts';
import { ESCAPED_HELP, typedBytes } from '../frame/escaped-paths.ts';
import { describeFailure } from '../../library/failure.ts';
import type { Host } from '../frame/host.ts';
import { readItems } from '../frame/input-items.ts';
import {
  addCommonOptions,
  addSecretOptions,
  type CommonOptions,
  type SecretOptions,
} from '../frame/options.ts';
import { readVaultFrameOf } from '../frame/place.ts';
import { jsonPath } from '../terminal/render-item.ts';
import type { CommandResult, Warnings } from '../frame/report.ts';
import { unlockByOptions } from '../secrets/secrets.ts';
import type { Selected } from '../frame/selected.ts';
import { shown } from '../terminal/terminal.ts';
import type { Translator } from './translator.ts';
import { PATH_RULE, pathFromTop } from '../frame/vault-paths.ts';

type Direction = 'encode' | 'decode';

interface NameOptions extends CommonOptions, SecretOptions {
  readonly null?: boolean;
  readonly escaped?: boolean;
}

const AFTER_HELP = `${PATH_RULE}
Encrypted paths count from the top of the copy. Without PATH, paths are read from standard input, one a
line, and count from the top, as \`push -i\` prints them. One line comes out for each that goes in; it is empty for a path
that cannot be translated. Odd bytes are escaped on a terminal and raw elsewhere.`;

/** Defines `name encode|decode`. */
export function defineName(program: Command, select: Selected): void {
  const name = program
    .command('name')
    .summary('translate paths between plain and encrypted')
    .description('Translate paths between plain and encrypted.')
    .helpCommand(false);
  const define = (direction: Direction, description: string): void => {
    const command = name
      .command(direction)
      .description(description)
      .argument('[path...]')
      .option('-0, --null', 'items end in a NUL, not a newline, both ways')
      .option('--escaped', ESCAPED_HELP);
    addSecretOptions(command, { masterkey: true });
    addCommonOptions(command).addHelpText('after', AFTER_HELP);
    command.action((paths: readonly string[]) => {
      const options: NameOptions = command.optsWithGlobals();
      select(`name ${direction}`, options, (host, warnings) =>
        translate(host, warnings, { direction, options, paths }),
      );
    });
  };
  define('encode', 'Show what plain paths are called in the copy.');
  define('decode', 'Show what encrypted paths of the copy stand for.');
}

interface NameRequest {
  readonly direction: Direction;
  readonly options: NameOptions;
  readonly paths: readonly string[];
}

async function translate(
  host: Host,
  warnings: Warnings,
  { direction, options, paths }: NameRequest,
): Promise<CommandResult> {
  const vault = readVaultFrameOf(host, options);
  if (paths.length === 0 && options.masterkey !== undefined) {
    throw new UsageError(
      'conflicting-options',
      'standard input cannot hold the key and the paths',
      {
        hint: 'Give the paths as arguments.',
      },
    );
  }
  const unlocked = await unlockByOptions(host, vault, options, warnings);
  const { openTranslator } = await import('./translator.ts');
  const translator = openTranslator(vault, unlocked);
  const end = options.null === true ? 0x00 : 0x0a;
  const isTyped = paths.length > 0;
  const items = isTyped
    ? paths.map((typed) => typedBytes(typed, options.escaped))
    : readItems(addAbortSignal(host.signal, host.stdin), end);
  let failures = 0;
  for await (const item of items) {
    host.signal.throwIfAborted();
    if (host.out.isClosed) break;
    const pair = await translateOne(host, translator, { direction, item, isTyped, vault });
    if (pair.result === undefined) failures += 1;
    print(host, { direction, ...pair, end });
  }
  const failed = direction === 'decode' ? ExitCode.mismatch : ExitCode.usage;
  if (failures === 0) return { exitCode: ExitCode.ok };
  const has = failures === 1 ? 'has' : 'have';
  const message = `${failures} of the paths ${has} no translation`;
  const error = { code: 'not-translated', message };
  return { exitCode: failed, error };
}

/** A path and its translation. */
interface Pair {
  /** For plain paths: relative to the root of the vault, once it is known. */
  readonly item: Buffer;
  /** Undefined if it cannot be translated, which was reported. */
  readonly result: Uint8Array | undefined;
}

/**
 * Arguments follow the rule for typed paths. Encrypted paths, and paths on standard input, start at
 * the root.
 */
async function translateOne(
  { folder, out }: Host,
  translator: Translator,
  {
    direction,
    item,
    isTyped,
    vault: { source },
  }: { direction: Direction; item: Buffer; isTyped: boolean; vault: VaultFrame },
): Promise<Pair> {
  try {
    if (direction === 'decode') return { item, result: await translator.decode(item) };
    const plain = isTyped
      ? Buffer.from(pathFromTop(item, { folder, source }))
      : insideVault(item, source);
    return { item: plain, result: translator.encode(plain) };
  } catch (error) {
    if (!(error instanceof EcsyncError) || error.exitCode === ExitCode.unexpected) throw error;
    const { message } = describeFailure(error, false);
    out.alert(`ecsync: ${shown(item)}: ${message}`);
    return { item, result: undefined };
  }
}

/** Makes an absolute path inside the vault's folder relative to it. */
function insideVault(item: Buffer, source: string): Buffer {
  if (path.sep === '\\') return Buffer.from(item.toString().replaceAll('\\', '/'));
  const start = Buffer.from(`${source}/`);
  return item.subarray(0, start.length).equals(start) ? item.subarray(start.length) : item;
}

function print(
  host: Host,
  { direction, item, result, end }: Pair & { direction: Direction; end: number },
): void {
  const { out } = host;
  if (out.mode.json) {
    const [from, to] = direction === 'encode' ? ['plain', 'cipher'] : ['cipher', 'plain'];
    const found = result === undefined ? {} : jsonPath(to, result);
    out.event({ type: 'name', ...jsonPath(from, item), ...found });
    return;
  }
  const bytes = result ?? new Uint8Array(0);
  out.dataBytes(out.isTerminal ? Buffer.from(shown(bytes)) : bytes, Uint8Array.of(end));
}
