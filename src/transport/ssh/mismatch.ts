/** The error of two sides of ssh that have no algorithm in common. */
import { LoginError } from '../../errors.ts';

/** Longest list that is shown. */
const LIST_LENGTH_SHOWN = 300;

interface Kind {
  /** In ssh2's and OpenSSH's words. */
  readonly pattern: RegExp;
  readonly shown: string;
  readonly keyword: string;
}

const KINDS: readonly Kind[] = [
  { pattern: /\bKEX\b|key exchange/i, shown: 'key exchange method', keyword: 'KexAlgorithms' },
  { pattern: /host key/i, shown: 'kind of host key', keyword: 'HostKeyAlgorithms' },
  { pattern: /cipher/i, shown: 'cipher', keyword: 'Ciphers' },
  { pattern: /\bMAC\b/i, shown: 'MAC', keyword: 'MACs' },
];

/** What each side has of the kind that failed; undefined where that is not known. */
export interface AlgorithmLists {
  readonly ours?: string | undefined;
  readonly theirs?: string | undefined;
}

/**
 * It lasts until somebody changes one of the two sides, so that trying again is no use.
 *
 * @param where - the server, for the message
 * @param failure - what ssh said
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
  const what = kind?.shown ?? 'algorithm of ssh';
  return new LoginError(
    'algorithms-mismatch',
    `${where}: the server and this side have no ${what} in common${lists}`,
    {
      hint: `Update the server, or allow one that it offers: \`${kind?.keyword ?? 'KexAlgorithms'} +NAME\` for this host in ~/.ssh/config.`,
    },
  );
}

/** Collects the lists from what ssh2 says while it negotiates; the last pair is the one that failed. */
export class NegotiationListener {
  #ours: string | undefined;
  #theirs: string | undefined;

  readonly hear = (line: string): void => {
    const [, side, list] = /^Handshake: \((local|remote)\) [^:]*: (.*)$/.exec(line) ?? [];
    if (side === 'local') this.#ours = list;
    if (side === 'remote') this.#theirs = list;
  };

  get lists(): AlgorithmLists {
    return { ours: this.#ours, theirs: this.#theirs };
  }
}

/** Without the names that are flags and no algorithms. */
function shortened(text: string): string {
  const list = text.replace(/,?\b(?:ext-info-c|kex-strict-[cs]-v00@openssh\.com)\b/g, '');
  return list.length <= LIST_LENGTH_SHOWN ? list : `${list.slice(0, LIST_LENGTH_SHOWN)}…`;
}
