/** Every bound on what a peer may send, each with its reason. */

/** Versions outside this range are output of a login shell, not rsync. */
export const PEER_VERSION_MIN = 20;
export const PEER_VERSION_MAX = 40;

/** Longest checksum name list: rsync's own buffer is 255 bytes. */
export const CHECKSUM_LIST_LENGTH_MAX = 255;

/**
 * Longest payload of a frame that is not data. rsync keeps text below 5120 bytes; longer payloads
 * would only fill our memory.
 */
export const MESSAGE_LENGTH_MAX = 8192;

/**
 * Consecutive frames without data. A peer sends at most about one keep-alive a second and a few
 * texts per file; more would only keep us busy. A frame counts once more for each IDLE_FRAME_LENGTH
 * bytes.
 */
export const IDLE_FRAMES_MAX = 2_000_000;
export const IDLE_FRAME_LENGTH = 128;

/** rsync's MAXPATHLEN: a name in the list is shorter than this. */
export const NAME_LENGTH_MAX = 4095;

/** A symlink's target is a path too. */
export const TARGET_LENGTH_MAX = 4095;

/** xname is a file name or path; a vstring could claim 32767 bytes. */
export const XNAME_LENGTH_MAX = 4095;

/** A filter rule of 5120 bytes or more is fatal to rsync. */
export const FILTER_RULE_LENGTH_MAX = 5119;

/** Filter rules of one list: bounds the memory of an endless list. */
export const FILTER_RULE_COUNT_MAX = 1_000_000;

/** Names in an id list: one byte carries the length. */
export const ID_NAME_LENGTH_MAX = 255;
export const ID_COUNT_MAX = 1_000_000;

/** Entries of a list: at about 200 bytes each this is as much as a machine can hold. */
export const FLIST_COUNT_MAX = 20_000_000;

/**
 * Approximate memory of a list entry besides its name and target, in bytes. A list is refused when
 * it needs more than the fraction {@link LIST_HEAP_PART} of Node's heap: a few bytes on the wire
 * make an entry, and running out of memory would end the process without an error message.
 */
export const ENTRY_WEIGHT = 500;
export const LIST_HEAP_PART = 0.6;

/**
 * Bytes by which a file may exceed twice its announced size: it may have grown, but within bounds.
 */
export const CONTENT_GROWTH_MAX = 1024 * 1024 * 1024;

/** Bytes that a server may send between the goodbye and its end; they do not matter. */
export const AFTERWORD_LENGTH_MAX = 65_536;

/** Largest block rsync asks for: 128 KiB since protocol 30, 512 MiB before. */
export const BLOCK_LENGTH_MAX = 131_072;
export const BLOCK_LENGTH_MAX_PRE30 = 536_870_912;

/** Most bytes of the strong sum in a block sum. */
export const SUM_LENGTH_MAX = 16;

/**
 * Memory for block sums, `count * (4 + s2length)`, of one file and of all pending requests. If the
 * sums of a single file exceed it, they are read and dropped, and the file is sent whole, which is
 * always legal. CVE-2026-70453 shows the cost of an unbounded table that a peer controls.
 */
export const SUM_TABLE_BYTES_MAX = 64 * 1024 * 1024;

/** Blocks that a matcher indexes: each takes 8 bytes of memory besides its sums. */
export const INDEXED_BLOCKS_MAX = 4 * 1024 * 1024;

/**
 * Longest block to match: longer ones (legal below protocol 30) would need buffers of their length.
 */
export const MATCHED_BLOCK_LENGTH_MAX = 1024 * 1024;

/** A strong sum truncated to fewer bytes than this proves nothing: the file is sent whole. */
export const MATCHED_SUM_LENGTH_MIN = 2;

/**
 * A matcher's budget for failed searches, as a base and an amount per byte of the file. It bounds
 * both the bytes hashed for strong sums and the steps along chains of the index. A table of
 * matching weak sums and wrong strong sums would otherwise cost a block's hash for each byte of the
 * file.
 */
export const FALSE_ALARM_BYTES_BASE = 64 * 1024 * 1024;
export const FALSE_ALARM_BYTES_PER_BYTE = 4;

/**
 * Reports (item records without a transfer) of one conversation: an amount per entry, and a base.
 * Each is answered, so an endless flow of them would keep us busy for ever.
 */
export const REPORTS_PER_ENTRY_MAX = 8;
export const REPORTS_BASE_MAX = 1000;

/**
 * Requests for the extended attributes of one entry: when it is created or changed, when it is
 * sent, and when it is sent again. Each may cost all of the entry's values.
 */
export const XATTR_REQUESTS_PER_ENTRY_MAX = 4;

/**
 * The extended attributes of one entry: Linux lists at most 64 KiB of names, each with a NUL, and
 * allows values of at most 64 KiB. Longer values of other systems are not requested.
 */
export const XATTR_NAMES_LENGTH_MAX = 65_536;
export const WIRE_XATTR_VALUE_LENGTH_MAX = 65_536;

/** Approximate memory of an attribute besides its name and value, in bytes. */
export const XATTR_WEIGHT = 200;

/** Requests and reports that are waiting for an answer. */
export const QUEUED_RECORDS_MAX = 4096;

/**
 * Blocks of one chain that are visited at one offset. Otherwise thousands of equal weak sums would
 * make every byte of the file cost thousands of comparisons (CVE-2026-70453).
 */
export const WEAK_CANDIDATES_MAX = 1024;

/** Longest literal run: servers 3.4.3, 3.4.4 and several backports abort on longer ones. */
export const LITERAL_LENGTH_MAX = 32_768;

/** Counts of a deletion report are informational; rsync's own bound. */
export const DEL_STATS_COUNT_MAX = 0x1000_0000;

/** A server may announce a timeout of at most this many seconds; it can only shorten ours. */
export const IO_TIMEOUT_SEC_MAX = 86_400;
