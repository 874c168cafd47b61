/** The filter list: rules for deleting at a receiver and for listing at a sender, and their codec. */
import type { ByteSink } from '../../bytes/byte-sink.ts';
import { BugError, ProtocolError } from '../../errors.ts';
import { Filter, plainRule } from '../../tree/filter/filter.ts';
import { FILTER_RULE_COUNT_MAX, FILTER_RULE_LENGTH_MAX } from '../wire/limits.ts';
import type { MultiplexReader } from '../wire/multiplex.ts';
import type { TransferOptions } from '../wire/options.ts';

/** Keeps the receiver's delete pass away from names, or lets it have them. The first match counts. */
export interface ReceiverRule {
  readonly action: 'protect' | 'risk';
  /** A pattern of rsync, as bytes; a trailing slash limits it to directories. */
  readonly pattern: Uint8Array;
  /** Of no meaning inside a directory that is removed. Known from protocol 30 on. */
  readonly perishable?: boolean;
}

/** Decides what a sending server lists. The first match counts; what none matches is listed. */
export interface SenderRule {
  readonly action: 'hide' | 'show';
  /** A pattern of rsync, as bytes; a trailing slash limits it to directories. */
  readonly pattern: Uint8Array;
}

/** What a sending server with these rules decides. */
export function senderFilter(rules: readonly SenderRule[]): Filter {
  return new Filter(
    rules.map(({ action, pattern }) =>
      plainRule(action === 'hide' ? 'exclude' : 'include', pattern, 'sender'),
    ),
  );
}

/*
 * Repeated int32 length and rule, then int32 0. From protocol 29 on a rule is `-r PATTERN` (protect)
 * or `+r PATTERN` (risk), from protocol 30 on with a `p` behind the `r` where it is perishable. Older peers know no modifiers: `- PATTERN` and `+ PATTERN`, which say the
 * same to a receiver that has no list of its own to filter. A sender gets `- PATTERN` (hide) and
 * `+ PATTERN` (show) at every protocol.
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

/** Whether a server with these options expects a filter list at all. */
export function wantsFilterList(options: TransferOptions): boolean {
  return options.deleteAfter;
}

/**
 * Writes the whole list with its end mark.
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
 * Inverse of {@link writeFilterList}, for a server that receives.
 *
 * @throws {ProtocolError} `filter-rule-invalid` — too long, too many, or none of the known shapes
 */
export async function readFilterList(
  input: MultiplexReader,
  protocol: number,
): Promise<ReceiverRule[]> {
  return readRules(input, (rule) => parseReceiverRule(rule, protocol));
}

/** The same for a server that sends. */
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
        `filter rule ${rules.length + 1} of ${length} bytes, at most ${FILTER_RULE_LENGTH_MAX} bytes and ${FILTER_RULE_COUNT_MAX} rules are allowed`,
      );
    }
    const rule = await input.read((reader) => reader.copy(length));
    rules.push(parse(rule));
  }
}

function parseReceiverRule(rule: Buffer, protocol: number): ReceiverRule {
  for (const action of ['protect', 'risk'] as const) {
    const prefix = PERISHABLE_PREFIXES[action];
    const isIt = rule.length > prefix.length && rule.toString('latin1').startsWith(prefix);
    if (!isIt || protocol < PERISHABLE_SINCE) continue;
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
    `the filter rule ${JSON.stringify(rule.toString('latin1'))}, only ${actions.join(' and ')} rules are allowed`,
  );
}
