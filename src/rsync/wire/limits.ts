/** Every bound on what a peer may send, with the reason beside it. */

/** Versions outside of this range are login noise, not rsync. */
export const PEER_VERSION_MIN = 20;
export const PEER_VERSION_MAX = 40;

/** Longest checksum name list: rsync's own buffer is 255 bytes. */
export const CHECKSUM_LIST_LENGTH_MAX = 255;

/**
 * Longest payload of a frame that is not data. rsync keeps text below 5120 bytes; what is longer
 * would only fill our memory.
 */
export const MESSAGE_LENGTH_MAX = 8192;

/**
 * Frames without data in a row. A keep-alive comes about every second at most, and texts come at most
 * a few per file: such a flow is there to keep us busy. Long ones count once more per so many bytes.
 */
export const IDLE_FRAMES_MAX = 2_000_000;
export const IDLE_FRAME_LENGTH = 128;

/** rsync's MAXPATHLEN: a name in the list is shorter than this. */
export const NAME_LENGTH_MAX = 4095;

/** A symlink's target is a path, too. */
export const TARGET_LENGTH_MAX = 4095;

/** xname is a file name or path; a vstring could claim 32767 bytes. */
export const XNAME_LENGTH_MAX = 4095;

/** A filter rule of 5120 bytes or more is fatal to rsync. */
export const FILTER_RULE_LENGTH_MAX = 5119;

/** Filter rules of one list: bounds the memory a list without an end can take. */
export const FILTER_RULE_COUNT_MAX = 1_000_000;

/** Names in an id list: one byte carries the length. */
export const ID_NAME_LENGTH_MAX = 255;
export const ID_COUNT_MAX = 1_000_000;

/** Entries of a list: at about 200 bytes each this is what a machine can hold. */
export const FLIST_COUNT_MAX = 20_000_000;

/**
 * What an entry of a list weighs beside its name and target, in bytes, about. A list is refused when
 * it weighs more than the part of Node's heap that {@link LIST_HEAP_PART} says: a few bytes of the wire
 * make an entry, and running out of memory would end the process without a word.
 */
export const ENTRY_WEIGHT = 500;
export const LIST_HEAP_PART = 0.6;

/** Bytes by which a file may exceed twice its announced size: it may have grown, but not without end. */
export const CONTENT_GROWTH_MAX = 1024 * 1024 * 1024;

/** What may come between the last word of a server and its end: nothing that matters. */
export const AFTERWORD_LENGTH_MAX = 65_536;

/** Largest block rsync asks for: 128 KiB since protocol 30, 512 MiB before. */
export const BLOCK_LENGTH_MAX = 131_072;
export const BLOCK_LENGTH_MAX_PRE30 = 536_870_912;

/** Block sums never have more bytes of the strong sum than this. */
export const SUM_LENGTH_MAX = 16;

/**
 * Memory for block sums, `count * (4 + s2length)`, of one file and of all requests that wait to be
 * answered. The sums of a single file beyond it are read and dropped, and the file is sent whole,
 * which is always legal. CVE-2026-70453 shows what an unbounded table of a peer's making costs.
 */
export const SUM_TABLE_BYTES_MAX = 64 * 1024 * 1024;

/** Blocks that a matcher keeps an index of: 8 bytes of memory each beside their sums. */
export const INDEXED_BLOCKS_MAX = 4 * 1024 * 1024;

/** Blocks longer than this (legal below protocol 30) would need buffers of their length. */
export const MATCHED_BLOCK_LENGTH_MAX = 1024 * 1024;

/** A strong sum cut to fewer bytes than this proves nothing: the file is sent whole. */
export const MATCHED_SUM_LENGTH_MIN = 2;

/**
 * What a matcher may do in vain: bytes of strong sums, and steps along chains of its index, some per
 * byte of the file and a base. A table of weak sums that are right and strong sums that are wrong
 * would otherwise cost a block's hash for each byte of the file.
 */
export const FALSE_ALARM_BYTES_BASE = 64 * 1024 * 1024;
export const FALSE_ALARM_BYTES_PER_BYTE = 4;

/**
 * Reports (item records without a transfer) of one conversation: some per entry, and a base. Each is
 * answered, so an endless flow of them would keep us busy for ever.
 */
export const REPORTS_PER_ENTRY_MAX = 8;
export const REPORTS_BASE_MAX = 1000;

/**
 * Requests for the extended attributes of one entry: when it is made or changed, when it is sent, and
 * when it is sent again. Each may cost all of the entry's values.
 */
export const XATTR_REQUESTS_PER_ENTRY_MAX = 4;

/**
 * The attributes of one entry: Linux lists 64 KiB of names at most, each with a NUL, and has values of
 * 64 KiB at most. A longer value of another system is not asked for.
 */
export const XATTR_NAMES_LENGTH_MAX = 65_536;
export const XATTR_VALUE_LENGTH_MAX = 65_536;

/** What an attribute weighs beside its name and value, in bytes, about. */
export const XATTR_WEIGHT = 200;

/** Requests and reports that wait to be answered. */
export const QUEUED_RECORDS_MAX = 4096;

/**
 * Blocks of one weak sum that are compared at one offset. Thousands of equal weak sums would make
 * every byte of the file cost thousands of strong sums (CVE-2026-70453).
 */
export const WEAK_CANDIDATES_MAX = 1024;

/** Longest literal run: servers 3.4.3, 3.4.4 and several backports abort on longer ones. */
export const LITERAL_LENGTH_MAX = 32_768;

/** Counts of a deletion report are informational; rsync's own bound. */
export const DEL_STATS_COUNT_MAX = 0x1000_0000;

/** A server may shorten our patience to this many seconds at most, never lengthen it. */
export const IO_TIMEOUT_SEC_MAX = 86_400;
