/** The session settings that decide how a file list is encoded. */
import { CHECKSUM_LENGTH } from '../wire/checksums.ts';
import { CF_ID0_NAMES, CF_SAFE_FLIST, CF_VARINT_FLIST_FLAGS } from '../wire/constants.ts';
import type { Session } from '../wire/handshake.ts';
import type { TransferOptions } from '../wire/options.ts';

/** All settings that decide how a file list is encoded. */
export interface FlistFormat {
  readonly protocol: number;
  readonly varintFlags: boolean;
  readonly safeEnd: boolean;
  readonly id0Names: boolean;
  readonly links: boolean;
  readonly owner: boolean;
  readonly group: boolean;
  readonly devices: boolean;
  readonly specials: boolean;
  readonly hardLinks: boolean;
  readonly numericIds: boolean;
  /** Bytes of the checksum of each regular file; 0 without `-c`. */
  readonly checksumLength: number;
  /** Extended attributes follow each entry. */
  readonly xattrs?: boolean;
}

export function flistFormat(session: Session, options: TransferOptions): FlistFormat {
  return {
    protocol: session.protocol,
    varintFlags: (session.compatFlags & CF_VARINT_FLIST_FLAGS) !== 0,
    safeEnd: session.protocol >= 31 || (session.compatFlags & CF_SAFE_FLIST) !== 0,
    id0Names: (session.compatFlags & CF_ID0_NAMES) !== 0,
    links: options.links,
    owner: options.owner,
    group: options.group,
    devices: options.devices,
    specials: options.specials,
    hardLinks: options.hardLinks,
    numericIds: options.numericIds,
    checksumLength: options.checksum ? CHECKSUM_LENGTH : 0,
    xattrs: options.xattrs === true,
  };
}

/** Whether entries of this kind carry device numbers at this protocol. */
export function carriesRdev(format: FlistFormat, isDevice: boolean, isSpecial: boolean): boolean {
  return (format.devices && isDevice) || (format.specials && isSpecial && format.protocol < 31);
}
