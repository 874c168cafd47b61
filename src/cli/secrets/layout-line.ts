/** Describes in one line how a copy is encrypted, for the user who is about to continue it. */
import { cipherOf } from '../../gocryptfs/layout.ts';
import type { Conf } from '../../gocryptfs/conf/config.ts';
import { nameModifiersOf } from '../../gocryptfs/conf/conf-claims.ts';

/** The layout in the conf of a copy, and whether a seal authenticates it. */
export function layoutLine(conf: Conf, place: string): string {
  const origin = conf.seal === undefined ? 'its gocryptfs.conf has no seal' : 'sealed by its key';
  const age = conf.flags.has('HKDF') ? '' : '; keys as before gocryptfs 1.3';
  return `layout of ${place}: ${cipherOf(conf.flags)}; names ${namesText(conf)}${age} (${origin})`;
}

/** How a copy stores names. Shown after the word "names". */
export function namesText(conf: Pick<Conf, 'flags' | 'longNameMax'>): string {
  const { plaintextNames, deterministicNames, noLongNames } = nameModifiersOf(conf);
  if (plaintextNames === true) return 'not encrypted, nor are link targets';
  const equal = deterministicNames === true ? ', equal names look equal in every folder' : '';
  const long = noLongNames === true ? 'never hashed' : `over ${conf.longNameMax} characters hashed`;
  return `encrypted${equal}; ${long}`;
}
