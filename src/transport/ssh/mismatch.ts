/** The error for two ssh peers without a common algorithm. */
import { LoginError } from '../../errors.ts';

/** Longest list shown in a message. */
const LIST_LENGTH_SHOWN = 300;

interface Kind {
  /** Matches the messages of ssh2 and OpenSSH. */
  readonly pattern: RegExp;
  readonly shown: string;
  readonly keyword: string;
}

const KINDS: readonly Kind[] = [
  { pattern: /\bKEX\b|key exchange/i, shown: 'key exchange method', keyword: 'KexAlgorithms' },
  { pattern: /host key/i, shown: 'host key algorithm', keyword: 'HostKeyAlgorithms' },
  { pattern: /cipher/i, shown: 'cipher', keyword: 'Ciphers' },
  { pattern: /\bMAC\b/i, shown: 'MAC', keyword: 'MACs' },
];

/** The lists of both sides for the kind that failed; undefined if unknown. */
export interface AlgorithmLists {
  readonly ours?: string | undefined;
  readonly theirs?: string | undefined;
}

/**
 * The error for a mismatch. It stays until one side is changed, so a retry is useless.
 *
 * @param where - the server, for the message
 * @param failure - the message of ssh
 */
export function algorithmsMismatch(
  where: string,
  failure: string,
  { ours, theirs }: AlgorithmLists,
): LoginError {
  const kind = KINDS.find(({ pattern }) => pattern.test(failure));
  const sides = [
    ...(theirs === undefined ? [] : [`it offers ${shortened(theirs)}`]),
    ...(ours === undefined ? [] : [`we offer ${shortened(ours)}`]),
  ];
  const lists = sides.length === 0 ? '' : `: ${sides.join('; ')}`;
  const what = kind?.shown ?? 'ssh algorithm';
  return new LoginError(
    'algorithms-mismatch',
    `${where}: the server and this side have no ${what} in common${lists}`,
    {
      hint: `Update the server, or allow an algorithm that it offers: \`${kind?.keyword ?? 'KexAlgorithms'} +NAME\` for this host in ~/.ssh/config.`,
    },
  );
}

/** Collects the lists from ssh2's debug lines. The last pair of a negotiation is the failed one. */
export class NegotiationListener {
  #ours: string | undefined;
  #theirs: string | undefined;

  readonly onDebug = (line: string): void => {
    const [, side, list] = /^Handshake: \((local|remote)\) [^:]*: (.*)$/.exec(line) ?? [];
    if (side === 'local') this.#ours = list;
    if (side === 'remote') this.#theirs = list;
  };

  get lists(): AlgorithmLists {
    return { ours: this.#ours, theirs: this.#theirs };
  }
}

/** Removes names that are flags, not algorithms, and limits the length. */
function shortened(text: string): string {
  const list = text.replace(/,?\b(?:ext-info-c|kex-strict-[cs]-v00@openssh\.com)\b/g, '');
  return list.length <= LIST_LENGTH_SHOWN ? list : `${list.slice(0, LIST_LENGTH_SHOWN)}…`;
}
