/** How a copy is encrypted, in one line for the person who is about to continue it. */
import { cipherOf } from '../../gocryptfs/layout.ts';
import type { Conf } from '../../gocryptfs/conf/config.ts';
import { nameModifiersOf } from '../../gocryptfs/conf/conf-claims.ts';

/** What the conf of a copy says, and whether its seal vouches for that. */
export function layoutLine(conf: Conf, place: string): string {
  const origin = conf.seal === undefined ? 'its gocryptfs.conf has no seal' : 'sealed by its key';
  const age = conf.flags.has('HKDF') ? '' : '; keys as before gocryptfs 1.3';
  return `layout of ${place}: ${cipherOf(conf.flags)}; names ${namesText(conf)}${age} (${origin})`;
}

/** How a copy stores names: to be read after the word "names". */
export function namesText(conf: Pick<Conf, 'flags' | 'longNameMax'>): string {
  const { plaintextNames, deterministicNames, noLongNames } = nameModifiersOf(conf);
  if (plaintextNames === true) return 'not encrypted, nor are link targets';
  const equal = deterministicNames === true ? ', equal names look equal in every folder' : '';
  const long = noLongNames === true ? 'never hashed' : `over ${conf.longNameMax} characters hashed`;
  return `encrypted${equal}; ${long}`;
}
