/**
 * The seal of a gocryptfs.conf: a MAC under the master key over everything that determines how a
 * copy is read.
 */
import { timingSafeEqual } from 'node:crypto';
import { IntegrityError } from '../../errors.ts';
import type { Conf } from './config.ts';
import { DEFAULT_BACKEND } from '../cipher/default-backend.ts';
import { ON_DISK_VERSION } from '../format/limits.ts';
import { deriveSubKey, KeyInfo } from '../cipher/sub-keys.ts';

const LABEL = Buffer.from('ecsync conf seal\0');

/**
 * Computes the seal of a conf. It does not cover what a change of the password replaces: the
 * wrapped key, the parameters of scrypt, and the flag `FIDO2`.
 *
 *     HMAC-SHA-256 of  1. label, 00   2. BE64 version   3. BE64 LongNameMax
 *                      4. each flag in ascending byte order, followed by 00
 */
function sealOf(conf: Pick<Conf, 'flags' | 'longNameMax'>, masterkey: Uint8Array): Buffer {
  const numbers = Buffer.alloc(16);
  numbers.writeBigUInt64BE(BigInt(ON_DISK_VERSION), 0); // 2.
  numbers.writeBigUInt64BE(BigInt(conf.longNameMax), 8); // 3.
  const flags = [...conf.flags].filter((flag) => flag !== 'FIDO2').sort();
  const text = Buffer.from(flags.map((flag) => `${flag}\0`).join('')); // 4.
  const key = deriveSubKey(masterkey, KeyInfo.ecsyncConfSeal);
  return DEFAULT_BACKEND.hmacSha256(key)(LABEL, numbers, text);
}

/** The same conf with its seal. */
export function sealConf(conf: Conf, masterkey: Uint8Array): Conf {
  return { ...conf, seal: sealOf(conf, masterkey) };
}

/** Whether the seal of a conf is valid, or absent. */
export function isSealIntact(conf: Conf, masterkey: Uint8Array): boolean {
  return conf.seal === undefined || timingSafeEqual(conf.seal, sealOf(conf, masterkey));
}

/**
 * Refuses a conf that was changed after it was sealed. One without a seal passes: stock gocryptfs
 * writes none, and `gocryptfs -passwd` drops it.
 *
 * @throws {IntegrityError} `conf-seal-wrong`
 */
export function assertSeal(conf: Conf, masterkey: Uint8Array): void {
  if (isSealIntact(conf, masterkey)) return;
  throw new IntegrityError(
    'conf-seal-wrong',
    `gocryptfs.conf: the layout it claims (${[...conf.flags].join(' ')}) is not the one that the key has sealed`,
    {
      hint: 'Somebody may have changed it in the copy. Take gocryptfs.conf from another copy or a backup, or give the master key and the layout from the recovery sheet.',
    },
  );
}
