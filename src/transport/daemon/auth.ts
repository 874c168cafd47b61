/** Answers the password challenge of an rsync daemon. */
import { createHash } from 'node:crypto';
import { LoginError, ProtocolError } from '../../errors.ts';

/**
 * The digests for an answer, strongest first, which is the order in which both sides choose. md4 is
 * left out: only daemons before rsync 3.0 require it.
 */
export const DIGESTS = ['sha512', 'sha256', 'sha1', 'md5'] as const;
export type Digest = (typeof DIGESTS)[number];

/** rsync's own challenges are base64 of one digest, at most 86 characters. */
const CHALLENGE_LENGTH_MAX = 512;

/** First protocol whose daemons accept md5 without listing it. */
const MD5_SINCE = 30;

/**
 * The digest that both sides choose.
 *
 * @param offered - the list in the daemon's greeting; undefined if it has none (before rsync 3.2.7)
 * @throws {LoginError} `daemon-auth-too-old`
 * @see rsync authenticate.c, compat.c negotiate_daemon_auth (3.5.0)
 */
export function chooseDigest(
  offered: readonly string[] | undefined,
  protocol: number,
  shownName: string,
): Digest {
  const names = offered ?? (protocol >= MD5_SINCE ? ['md5'] : []);
  const common = DIGESTS.find((name) => names.includes(name));
  if (common !== undefined) return common;
  throw new LoginError(
    'daemon-auth-too-old',
    `${shownName}: the daemon can check passwords only by a digest that is no longer secure`,
    { hint: 'Install rsync 3.2.7 or newer there and leave out --protocol, or push over ssh.' },
  );
}

/**
 * The answer to a challenge: base64 without padding of
 *
 *   1  digest(
 *   2    password                its bytes unchanged
 *   3    challenge               the text as received
 *   4  )
 *
 * @throws {ProtocolError} `challenge-invalid` — empty, longer than 512 characters, or not printable
 * @see rsync authenticate.c generate_hash (3.5.0)
 */
export function answerChallenge(digest: Digest, password: Uint8Array, challenge: string): string {
  if (!/^[\x21-\x7e]+$/.test(challenge) || challenge.length > CHALLENGE_LENGTH_MAX) {
    throw new ProtocolError('challenge-invalid', "the daemon's challenge is invalid", {
      facts: { length: challenge.length },
    });
  }
  const hash = createHash(digest).update(password).update(challenge, 'latin1');
  return hash.digest('base64').replace(/=+$/, '');
}
