/**
 * The packets of SFTP version 3 that reading needs.
 *
 *     uint32 length of the rest | byte type | uint32 request id | …
 *
 * @see draft-ietf-secsh-filexfer-02; OpenSSH PROTOCOL, sftp-server.c (9.2)
 */
import { ProtocolError } from '../../errors.ts';

export const SSH_FXP_INIT = 1;
export const SSH_FXP_VERSION = 2;
export const SSH_FXP_OPEN = 3;
export const SSH_FXP_CLOSE = 4;
export const SSH_FXP_READ = 5;
export const SSH_FXP_LSTAT = 7;
export const SSH_FXP_FSTAT = 8;
export const SSH_FXP_OPENDIR = 11;
export const SSH_FXP_READDIR = 12;
export const SSH_FXP_READLINK = 19;
export const SSH_FXP_STATUS = 101;
export const SSH_FXP_HANDLE = 102;
export const SSH_FXP_DATA = 103;
export const SSH_FXP_NAME = 104;
export const SSH_FXP_ATTRS = 105;

export const SFTP_VERSION = 3;
export const SSH_FXF_READ = 1;

export const SSH_FX_EOF = 1;
export const SSH_FX_NO_SUCH_FILE = 2;
export const SSH_FX_PERMISSION_DENIED = 3;

const ATTR_SIZE = 0x1;
const ATTR_UIDGID = 0x2;
const ATTR_PERMISSIONS = 0x4;
const ATTR_ACMODTIME = 0x8;
const ATTR_EXTENDED = 0x80000000;

/** Longest packet that a server may send: OpenSSH's own limit. */
export const PACKET_LENGTH_MAX = 256 * 1024;
/** Most attribute extensions of one entry; nobody uses them. */
const EXTENDED_COUNT_MAX = 64;
/** The specification's own limit. */
const HANDLE_LENGTH_MAX = 256;
const HEADER_LENGTH = 9;
/** A rendering is cut to this length: the part before the name fits, and the name is not needed. */
const RENDERED_LENGTH_MAX = 160;

/** The attributes of an object; those that the server leaves out are undefined. */
export interface SftpAttributes {
  readonly size: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  /** `st_mode`. */
  readonly mode: number | undefined;
  /** Whole seconds since 1970, unsigned 32 bits. */
  readonly mtimeSec: number | undefined;
}

/** One name of a listing, as bytes. */
export interface SftpName {
  readonly name: Buffer;
  readonly attributes: SftpAttributes;
  /** The server's rendering for people, bytes as Latin-1. */
  readonly rendered: string;
}

/** Encodes a request. */
export function encodeRequest(
  type: number,
  id: number,
  fields: readonly (Uint8Array | number | { readonly uint64: number })[],
): Buffer {
  const parts: Buffer[] = [];
  for (const field of fields) {
    if (typeof field === 'number') parts.push(uint32(field));
    else if ('uint64' in field) parts.push(uint64(field.uint64));
    else parts.push(uint32(field.length), Buffer.from(field));
  }
  const body = Buffer.concat(parts);
  const header = Buffer.allocUnsafe(HEADER_LENGTH);
  header.writeUInt32BE(HEADER_LENGTH - 4 + body.length, 0);
  header.writeUInt8(type, 4);
  header.writeUInt32BE(id, 5);
  return Buffer.concat([header, body]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function uint64(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

/** The fields of one packet, in order; each is checked against the packet's end. */
export class SftpFields {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  byte(): number {
    return this.#take(1).readUInt8();
  }

  uint32(): number {
    return this.#take(4).readUInt32BE();
  }

  /** The number that {@link uint32} would return next. */
  peekUint32(): number {
    const value = this.uint32();
    this.#at -= 4;
    return value;
  }

  /** @throws {ProtocolError} `sftp-number` — beyond JavaScript's safe integers */
  uint64(): number {
    const value = Number(this.#take(8).readBigUInt64BE());
    if (Number.isSafeInteger(value)) return value;
    throw new ProtocolError('sftp-number', `the SFTP server sent the number ${value}`);
  }

  /** A view into the packet. */
  string(): Buffer {
    return this.#take(this.uint32());
  }

  /** @throws {ProtocolError} `sftp-handle` */
  handle(): Buffer {
    const handle = Buffer.from(this.string());
    if (handle.length <= HANDLE_LENGTH_MAX) return handle;
    throw new ProtocolError(
      'sftp-handle',
      `the SFTP server sent a handle of ${handle.length} bytes`,
    );
  }

  attributes(): SftpAttributes {
    const flags = this.uint32();
    const has = (flag: number): boolean => Math.floor(flags / flag) % 2 === 1;
    const size = has(ATTR_SIZE) ? this.uint64() : undefined;
    const uid = has(ATTR_UIDGID) ? this.uint32() : undefined;
    const gid = has(ATTR_UIDGID) ? this.uint32() : undefined;
    const mode = has(ATTR_PERMISSIONS) ? this.uint32() % 0o200000 : undefined;
    if (has(ATTR_ACMODTIME)) this.uint32();
    const mtimeSec = has(ATTR_ACMODTIME) ? this.uint32() : undefined;
    if (has(ATTR_EXTENDED)) {
      const count = this.uint32();
      if (count > EXTENDED_COUNT_MAX) throw malformed();
      for (let i = 0; i < 2 * count; i++) this.string();
    }
    return { size, uid, gid, mode, mtimeSec };
  }

  /** The names of one SSH_FXP_NAME packet. */
  names(): SftpName[] {
    const count = this.uint32();
    const names: SftpName[] = [];
    for (let i = 0; i < count; i++) {
      const name = Buffer.from(this.string());
      const rendered = this.string().toString('latin1', 0, RENDERED_LENGTH_MAX);
      names.push({ name, attributes: this.attributes(), rendered });
    }
    return names;
  }

  /** @throws {ProtocolError} `sftp-packet` */
  #take(length: number): Buffer {
    const start = this.#at;
    if (length > this.#bytes.length - start) throw malformed();
    this.#at += length;
    return this.#bytes.subarray(start, this.#at);
  }
}

function malformed(): ProtocolError {
  return new ProtocolError('sftp-packet', 'the SFTP server sent a malformed packet');
}
