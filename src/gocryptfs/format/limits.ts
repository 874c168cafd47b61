/** Sizes and bounds of the format, each with its reason. */

/** Bytes of plaintext in one content block. */
export const PLAIN_BLOCK_SIZE = 4096;
/** Version (2 bytes) and file ID (16 bytes) at the start of every non-empty file. */
export const FILE_HEADER_LENGTH = 18;
/** The only on-disk version, in the file header and in the conf. */
export const ON_DISK_VERSION = 2;
export const FILE_ID_LENGTH = 16;
export const DIR_IV_LENGTH = 16;

export const AEAD_TAG_LENGTH = 16;
/** 128 bits instead of GCM's usual 96: flag `GCMIV128`. */
export const GCM_NONCE_LENGTH = 16;
/** Bytes that AES-GCM adds to every block: nonce and tag. */
export const GCM_OVERHEAD = GCM_NONCE_LENGTH + AEAD_TAG_LENGTH;
/** AES-SIV needs no nonce; the format gives it GCM's. */
export const SIV_NONCE_LENGTH = 16;
export const SIV_OVERHEAD = SIV_NONCE_LENGTH + AEAD_TAG_LENGTH;
export const XCHACHA_NONCE_LENGTH = 24;
/** The part of XChaCha's nonce that goes into the sub-key. */
export const HCHACHA_NONCE_LENGTH = 16;
export const XCHACHA_OVERHEAD = XCHACHA_NONCE_LENGTH + AEAD_TAG_LENGTH;

/** Longest plaintext name; also what 16 AES blocks hold after padding. */
export const PLAIN_NAME_LENGTH_MAX = 255;
/** Longest name stored directly; above it the name is hashed. */
export const LONG_NAME_MAX_DEFAULT = 255;
/** Below this even a hashed name would not fit; stock and cppcryptfs agree on 62. */
export const LONG_NAME_MAX_LEAST = 62;
/** The smallest value that is read: stock creates nothing below 62, but mounts it. */
export const LONG_NAME_MAX_READ_LEAST = 1;
/** Base64 of 256 bytes with padding: the longest content of a `.name` file. */
export const NAME_FILE_LENGTH_MAX = 344;
/** Longest symlink target Linux stores: PATH_MAX without the closing NUL. */
export const CIPHER_TARGET_LENGTH_MAX = 4095;
/**
 * Longest name of an extended attribute, with its namespace, whose encryption has at most 255
 * bytes; with padding it fills 176 bytes of AES blocks.
 */
export const XATTR_NAME_LENGTH_MAX = 175;
/**
 * The most that stock reads of one extended attribute (2.3). Linux stores one byte more, and stock
 * writes that, but cannot read it again.
 */
export const XATTR_VALUE_LENGTH_MAX = 65535;
/** Longest path an rsync server accepts in a file list and Linux in a system call. */
export const CIPHER_PATH_LENGTH_MAX = 4095;

export const MASTERKEY_LENGTH = 32;
/** The most that stock reads from a passfile or a pipe; it truncates nothing. */
export const PASSWORD_LENGTH_MAX = 2048;

/** A real conf has under 1 KiB; the bound keeps a hostile one from costing memory. */
export const CONF_LENGTH_MAX = 65536;
/** Stock refuses less: brute force would be cheap. */
export const SCRYPT_LOG_N_MIN = 10;
/** 4 GiB of memory at r = 8: more is an attack on the reader, not protection. */
export const SCRYPT_LOG_N_MAX = 22;
export const SCRYPT_LOG_N_DEFAULT = 16;
export const SCRYPT_R_MIN = 8;
export const SCRYPT_R_MAX = 32;
export const SCRYPT_P_MIN = 1;
export const SCRYPT_P_MAX = 16;
/**
 * N · r · p: the cost of {@link SCRYPT_LOG_N_MAX} with r = 8 and p = 1, about half a minute and 4
 * GiB. With all three at their own bounds it would take 64 times as long.
 */
export const SCRYPT_WORK_MAX = 2 ** 25;
/** N · r · p of {@link SCRYPT_LOG_N_DEFAULT}: the cost that is accepted without asking. */
export const SCRYPT_WORK_DEFAULT = 2 ** 19;
export const SCRYPT_KEY_LENGTH = 32;
export const SCRYPT_SALT_LENGTH_MIN = 32;
export const SCRYPT_SALT_LENGTH_MAX = 1024;
