/** Sends the content of one file as tokens, followed by its whole-file sum. */
import { type EcsyncError } from '../../errors.ts';
import type { Entry } from '../../tree/entry.ts';
import { CHECKSUM_LENGTH, type StrongSums } from '../wire/checksums.ts';
import type { Conversation } from '../wire/conversation.ts';
import { INDEXED_BLOCKS_MAX } from '../wire/limits.ts';
import { LiteralMatcher, type DeltaSink, type Matcher } from '../delta/matcher.ts';
import type { MultiplexWriter } from '../wire/multiplex.ts';
import { PositionalMatcher } from '../delta/positional-matcher.ts';
import { asEcsyncError } from '../wire/problem.ts';
import type { Opened } from './read-ahead.ts';
import { RollingMatcher } from '../delta/rolling-matcher.ts';
import { writeBlockMatch, writeLiteral, writeTokensEnd } from '../wire/tokens.ts';

/** How much of a file was sent as literal data and as block matches. */
export interface ContentResult {
  readonly literalBytes: number;
  readonly matchedBytes: number;
  /** Reading failed midway: the content was sent with a wrong sum, so the receiver drops it. */
  readonly error?: EcsyncError;
}

/** Counts a matcher's output. */
class CountingSink implements DeltaSink {
  literalBytes = 0;
  matchedBytes = 0;

  literal(data: Uint8Array): void {
    this.literalBytes += data.length;
  }

  block(_index: number, length: number): void {
    this.matchedBytes += length;
  }
}

/** Counts a matcher's output and sends it as tokens. */
class TokenSink extends CountingSink {
  readonly #writer: MultiplexWriter;

  constructor(writer: MultiplexWriter) {
    super();
    this.#writer = writer;
  }

  override literal(data: Uint8Array): void {
    super.literal(data);
    writeLiteral(this.#writer, data);
  }

  override block(index: number, length: number): void {
    super.block(index, length);
    writeBlockMatch(this.#writer, index);
  }
}

/** What sending content needs. */
export interface ContentContext {
  readonly conversation: Conversation;
  readonly strong: StrongSums;
  readonly onProgress: (bytes: number) => void;
}

interface MatchContext extends ContentContext {
  readonly sink: CountingSink;
  readonly onChunk?: (chunk: Uint8Array) => void;
}

/**
 * Sends the tokens and the whole-file sum of an open file. The token stream is completed even if
 * reading the file fails.
 *
 * @throws whatever makes the conversation fail, but never an error of the file
 */
export async function sendTokens(
  entry: Entry,
  opened: Opened,
  context: ContentContext,
): Promise<ContentResult> {
  const { writer } = context.conversation;
  const { file } = context.strong;
  const tokens = new TokenSink(writer);
  const result = await match(entry, opened, {
    ...context,
    sink: tokens,
    onChunk: (chunk) => file.update(chunk),
  });
  writeTokensEnd(writer);
  const sum = file.digest();
  writer.bytes(result.error === undefined ? sum : wrongSum(sum));
  return result;
}

/** Sends a file that is in memory and has no basis, as {@link sendTokens} would. */
export function sendWhole(
  bytes: Uint8Array,
  { conversation, strong }: Pick<ContentContext, 'conversation' | 'strong'>,
): ContentResult {
  const { writer } = conversation;
  conversation.busy();
  strong.file.update(bytes);
  writeLiteral(writer, bytes);
  writeTokensEnd(writer);
  writer.bytes(strong.file.digest());
  return { literalBytes: bytes.length, matchedBytes: 0 };
}

/**
 * Counts what {@link sendTokens} would send. For a file without a basis at most the first chunk is
 * read.
 *
 * @throws whatever makes the conversation fail, but never an error of the file
 */
export async function measureContent(
  entry: Entry,
  opened: Opened,
  context: ContentContext,
): Promise<ContentResult> {
  if (opened.sums === undefined) return { literalBytes: opened.file.size, matchedBytes: 0 };
  return match(entry, opened, { ...context, sink: new CountingSink() });
}

/** Reads an open file to its end and matches it against the basis. */
async function match(
  entry: Entry,
  opened: Opened,
  { conversation, strong, onProgress, sink, onChunk }: MatchContext,
): Promise<ContentResult> {
  const matcher = chooseMatcher(opened, strong, sink);
  let error: EcsyncError | undefined;
  let bytes = 0;
  for (;;) {
    const chunk = await opened.chunks.next().catch((reason: unknown) => {
      error = asEcsyncError(reason, entry);
      return undefined;
    });
    if (chunk === undefined) break;
    conversation.busy();
    onChunk?.(chunk);
    matcher.push(chunk, false);
    bytes += chunk.length;
    if (bytes < opened.file.size) onProgress(bytes);
    await conversation.drained();
  }
  matcher.push(new Uint8Array(0), true);
  const { literalBytes, matchedBytes } = sink;
  return { literalBytes, matchedBytes, ...(error !== undefined && { error }) };
}

function chooseMatcher(opened: Opened, strong: StrongSums, sink: DeltaSink): Matcher {
  const { sums, file } = opened;
  if (sums === undefined) return new LiteralMatcher(sink);
  if (file.positional) return new PositionalMatcher(sums, strong, sink);
  if (sums.head.count > INDEXED_BLOCKS_MAX) return new LiteralMatcher(sink);
  return new RollingMatcher(sums, strong, sink);
}

/** A sum that differs from the true one: zeros, or zeros and a 1 if the true sum is zeros. */
function wrongSum(sum: Uint8Array): Uint8Array {
  const wrong = new Uint8Array(CHECKSUM_LENGTH);
  if (sum.every((byte) => byte === 0)) wrong[CHECKSUM_LENGTH - 1] = 1;
  return wrong;
}
