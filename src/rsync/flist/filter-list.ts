/** The filter list: rules for a receiver's deletions and for a sender's list, and their codec. */
import type { ByteSink } from '../../bytes/byte-sink.ts';
import { BugError, ProtocolError } from '../../errors.ts';
import { Filter, plainRule } from '../../tree/filter/filter.ts';
import { FILTER_RULE_COUNT_MAX, FILTER_RULE_LENGTH_MAX } from '../wire/limits.ts';
import type { MultiplexReader } from '../wire/multiplex.ts';
import type { TransferOptions } from '../wire/options.ts';

/**
 * Protects names from the receiver's delete pass, or exposes them to it. The first match counts.
 */
export interface ReceiverRule {
  readonly action: 'protect' | 'risk';
  /** A pattern of rsync, as bytes; a trailing slash limits it to directories. */
  readonly pattern: Uint8Array;
  /** The rule is ignored inside a directory that is being removed. Needs protocol 30. */
  readonly perishable?: boolean;
}

/**
 * Decides what a sending server lists. The first match counts; a name without a match is listed.
 */
export interface SenderRule {
  readonly action: 'hide' | 'show';
  /** A pattern of rsync, as bytes; a trailing slash limits it to directories. */
  readonly pattern: Uint8Array;
}

/** The rules of a sending server as a filter. */
export function senderFilter(rules: readonly SenderRule[]): Filter {
  return new Filter(
    rules.map(({ action, pattern }) =>
      plainRule(action === 'hide' ? 'exclude' : 'include', pattern, 'sender'),
    ),
  );
}

/*
 * Each rule is an int32 length and the rule's bytes; int32 0 ends the list. From protocol 29 on a
 * rule is `-r PATTERN` (protect) or `+r PATTERN` (risk). From protocol 30 on a perishable rule has
 * a `p` after the `r`. Older peers have no modifiers: they get `- PATTERN` and `+ PATTERN`, which
 * mean the same to a receiver, since it has no file list of its own to filter. A sender gets
 * `- PATTERN` (hide) and `+ PATTERN` (show) at every protocol.
 *
 * @see rsync exclude.c send_rules, recv_filter_list (3.5.0)
 */
const PREFIXES = {
  protect: ['-r ', '- '],
  risk: ['+r ', '+ '],
  hide: ['- ', '- '],
  show: ['+ ', '+ '],
} as const;
const PERISHABLE_PREFIXES = { protect: '-rp ', risk: '+rp ' } as const;
const PERISHABLE_SINCE = 30;

function prefixOf(rule: ReceiverRule | SenderRule, protocol: number): string {
  if ('perishable' in rule && rule.perishable && protocol >= PERISHABLE_SINCE)
    return PERISHABLE_PREFIXES[rule.action];
  return PREFIXES[rule.action][protocol >= 29 ? 0 : 1];
}

/** Whether a receiving server with these options expects a filter list. */
export function wantsFilterList(options: TransferOptions): boolean {
  return options.deleteAfter;
}

/**
 * Writes the whole list with its end marker.
 *
 * @throws {BugError} `filter-rule-too-long` — 5120 bytes or more
 */
export function writeFilterList(
  sink: ByteSink,
  rules: readonly (ReceiverRule | SenderRule)[],
  protocol: number,
): void {
  for (const rule of rules) {
    const { pattern } = rule;
    const prefix = Buffer.from(prefixOf(rule, protocol));
    const length = prefix.length + pattern.length;
    if (length > FILTER_RULE_LENGTH_MAX) {
      throw new BugError('filter-rule-too-long', `a filter rule of ${length} bytes`);
    }
    sink.int32(length);
    sink.bytes(prefix);
    sink.bytes(pattern);
  }
  sink.int32(0);
}

/**
 * Inverse of {@link writeFilterList}, for a receiving server.
 *
 * @throws {ProtocolError} `filter-rule-invalid` — too long, too many, or of an unknown form
 */
export async function readFilterList(
  input: MultiplexReader,
  protocol: number,
): Promise<ReceiverRule[]> {
  return readRules(input, (rule) => parseReceiverRule(rule, protocol));
}

/** Inverse of {@link writeFilterList}, for a sending server. */
export async function readSenderRules(
  input: MultiplexReader,
  protocol: number,
): Promise<SenderRule[]> {
  return readRules(input, (rule) => parseRule(rule, ['hide', 'show'], protocol));
}

async function readRules<Rule>(
  input: MultiplexReader,
  parse: (rule: Buffer) => Rule,
): Promise<Rule[]> {
  const rules: Rule[] = [];
  for (;;) {
    const length = await input.read((reader) => reader.int32());
    if (length === 0) return rules;
    if (length < 0 || length > FILTER_RULE_LENGTH_MAX || rules.length >= FILTER_RULE_COUNT_MAX) {
      throw new ProtocolError(
        'filter-rule-invalid',
        `filter rule ${rules.length + 1} has ${length} bytes; at most ${FILTER_RULE_LENGTH_MAX} bytes and ${FILTER_RULE_COUNT_MAX} rules are allowed`,
      );
    }
    const rule = await input.read((reader) => reader.copy(length));
    rules.push(parse(rule));
  }
}

function parseReceiverRule(rule: Buffer, protocol: number): ReceiverRule {
  for (const action of ['protect', 'risk'] as const) {
    const prefix = PERISHABLE_PREFIXES[action];
    const isPerishable = rule.length > prefix.length && rule.toString('latin1').startsWith(prefix);
    if (!isPerishable || protocol < PERISHABLE_SINCE) continue;
    return { action, pattern: rule.subarray(prefix.length), perishable: true };
  }
  return parseRule(rule, ['protect', 'risk'], protocol);
}

function parseRule<A extends keyof typeof PREFIXES>(
  rule: Buffer,
  actions: readonly A[],
  protocol: number,
): { readonly action: A; readonly pattern: Uint8Array } {
  for (const action of actions) {
    const prefix = PREFIXES[action][protocol >= 29 ? 0 : 1];
    if (rule.length > prefix.length && rule.toString('latin1', 0, prefix.length) === prefix) {
      return { action, pattern: rule.subarray(prefix.length) };
    }
  }
  throw new ProtocolError(
    'filter-rule-invalid',
    `the filter rule ${JSON.stringify(rule.toString('latin1'))} is not allowed; only ${actions.join(' and ')} rules are`,
  );
}
