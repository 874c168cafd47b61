/**
 * Constants of the rsync wire protocol under rsync's own names.
 *
 * @see rsync rsync.h (3.5.0)
 */

export const PROTOCOL_NEWEST = 32;
export const PROTOCOL_OLDEST = 27;

/** Special indexes. */
export const NDX_DONE = -1;
export const NDX_DEL_STATS = -3;

/** Compatibility flags, by which the server says what it agreed to (protocol ≥ 30). */
export const CF_INC_RECURSE = 0x001;
export const CF_SYMLINK_TIMES = 0x002;
export const CF_SYMLINK_ICONV = 0x004;
export const CF_SAFE_FLIST = 0x008;
export const CF_AVOID_XATTR_OPTIM = 0x010;
export const CF_CHKSUM_SEED_FIX = 0x020;
export const CF_VARINT_FLIST_FLAGS = 0x080;
export const CF_ID0_NAMES = 0x100;

/** Added to a message code to form the high byte of a frame header. */
export const MPLEX_BASE = 7;
export const MSG_DATA = 0;
export const MSG_ERROR_XFER = 1;
export const MSG_INFO = 2;
export const MSG_ERROR = 3;
export const MSG_WARNING = 4;
export const MSG_IO_ERROR = 22;
export const MSG_IO_TIMEOUT = 33;
export const MSG_ERROR_EXIT = 86;
export const MSG_DELETED = 101;
export const MSG_NO_SEND = 102;

/** Flags in front of each file list entry. */
export const XMIT_TOP_DIR = 0x0001;
export const XMIT_SAME_MODE = 0x0002;
export const XMIT_EXTENDED_FLAGS = 0x0004;
/** Protocol 27 only, in place of XMIT_EXTENDED_FLAGS. */
export const XMIT_SAME_RDEV_PRE28 = 0x0004;
export const XMIT_SAME_UID = 0x0008;
export const XMIT_SAME_GID = 0x0010;
export const XMIT_SAME_NAME = 0x0020;
export const XMIT_LONG_NAME = 0x0040;
export const XMIT_SAME_TIME = 0x0080;
export const XMIT_SAME_RDEV_MAJOR = 0x0100;
/** Directories: nothing inside may be deleted (protocol ≥ 30). */
export const XMIT_NO_CONTENT_DIR = 0x0100;
export const XMIT_HLINKED = 0x0200;
export const XMIT_SAME_DEV_PRE30 = 0x0400;
export const XMIT_RDEV_MINOR_8_PRE30 = 0x0800;
export const XMIT_HLINK_FIRST = 0x1000;
/** End marker only. */
export const XMIT_IO_ERROR_ENDLIST = 0x1000;
export const XMIT_MOD_NSEC = 0x2000;

/** First protocol whose requests are item records: they say whether the object exists and what differs. */
export const ITEM_RECORDS_SINCE = 29;

/** Flags of an item record. */
export const ITEM_REPORT_CHANGE = 0x0002;
export const ITEM_REPORT_SIZE = 0x0004;
export const ITEM_REPORT_TIME = 0x0008;
export const ITEM_REPORT_PERMS = 0x0010;
export const ITEM_REPORT_OWNER = 0x0020;
export const ITEM_REPORT_GROUP = 0x0040;
export const ITEM_REPORT_ACL = 0x0080;
export const ITEM_REPORT_XATTR = 0x0100;
export const ITEM_BASIS_TYPE_FOLLOWS = 0x0800;
export const ITEM_XNAME_FOLLOWS = 0x1000;
export const ITEM_IS_NEW = 0x2000;
export const ITEM_LOCAL_CHANGE = 0x4000;
export const ITEM_TRANSFER = 0x8000;

/** Bits of io_error. */
export const IOERR_GENERAL = 1;
export const IOERR_VANISHED = 2;
export const IOERR_DEL_LIMIT = 4;
