/**
 * The first bytes of a conversation, both roles:
 *
 *   1  both    int32 version; the lower one counts      not with daemons, which greet in text
 *   2  server  varint compatibility flags                   protocol ≥ 30
 *   3  both    vstring checksum names                       flag CF_VARINT_FLIST_FLAGS
 *   4  server  int32 checksum seed
 *
 * Afterwards the server sends frames; the client does so from protocol 30 on.
 *
 * @see rsync compat.c setup_protocol, negotiate_the_strings (3.5.0)
 */
import { ProtocolError, RemoteError } from '../../errors.ts';
import {
  CF_AVOID_XATTR_OPTIM,
  CF_CHKSUM_SEED_FIX,
  CF_ID0_NAMES,
  CF_INC_RECURSE,
  CF_SAFE_FLIST,
  CF_SYMLINK_ICONV,
  CF_SYMLINK_TIMES,
  CF_VARINT_FLIST_FLAGS,
  PROTOCOL_OLDEST,
} from './constants.ts';
import { readVarint, readVstring, writeVarint, writeVstring } from './integers.ts';
import { CHECKSUM_LIST_LENGTH_MAX, PEER_VERSION_MAX, PEER_VERSION_MIN } from './limits.ts';
import type { MultiplexReader, MultiplexWriter } from './multiplex.ts';
import type { Peer } from './peer.ts';

export type ChecksumName = 'md4' | 'md5' | 'xxh128';

/** The parameters that both sides agreed on. */
export interface Session {
  /** 27 … 32. */
  readonly protocol: number;
  /** CF_* bits; 0 below protocol 30. */
  readonly compatFlags: number;
  readonly checksumName: ChecksumName;
  /** Signed 32-bit; 0 means unseeded. */
  readonly seed: number;
}

/**
 * The names we offer, in rsync's own order of preference. Servers up to 3.4.4 take the first name
 * of the client's list that they know, later ones the first name of their own list that the client
 * offers. Only the same order on both sides gives the same result either way.
 */
const OFFERED = ['xxh128', 'md5'] as const;
const OFFERED_BYTES = Buffer.from(OFFERED.join(' '));

/** The flags of our own server: all capabilities that our clients offer. */
const SERVER_FLAGS =
  CF_SYMLINK_TIMES |
  CF_SYMLINK_ICONV |
  CF_SAFE_FLIST |
  CF_AVOID_XATTR_OPTIM |
  CF_CHKSUM_SEED_FIX |
  CF_VARINT_FLIST_FLAGS |
  CF_ID0_NAMES;

/**
 * The client's side.
 *
 * @param protocolMax - newest protocol to offer, 27 … 32
 * @param greeted - set if the protocol was agreed on before: then no version is exchanged
 * @throws {RemoteError} `no-greeting` — the peer closed before its version
 * @throws {RemoteError} `shell-not-clean` — the peer's first bytes are not a version
 * @throws {RemoteError} `rsync-too-old` — the peer's newest protocol is 26 or older
 * @throws {RemoteError} `no-common-checksum`
 * @throws {ProtocolError} `inc-recurse-unasked` — the server wants incremental recursion
 * @throws {ConnectionError} `connection-lost`
 */
export async function greetServer(
  reader: MultiplexReader,
  writer: MultiplexWriter,
  protocolMax: number,
  greeted?: Peer['greeted'],
): Promise<Session> {
  const protocol = greeted?.protocol ?? (await exchangeVersions(reader, writer, protocolMax));
  if (greeted !== undefined) await awaitBytes(reader, 1);
  let compatFlags = 0;
  let checksumName: ChecksumName = protocol >= 30 ? 'md5' : 'md4';
  if (protocol >= 30) {
    compatFlags = await reader.read(readVarint);
    if (compatFlags & CF_INC_RECURSE) {
      throw new ProtocolError(
        'inc-recurse-unasked',
        'the server wants to receive the file list in parts, which we did not offer',
      );
    }
    if (compatFlags & CF_VARINT_FLIST_FLAGS) {
      checksumName = await negotiateChecksum(reader, writer);
    }
  }
  const seed = await reader.read((bytes) => bytes.int32());
  reader.startMultiplex();
  if (protocol >= 30) writer.startMultiplex();
  return { protocol, compatFlags, checksumName, seed };
}

/**
 * The server's side, for a client that offers the capabilities of {@link serverArgs}.
 *
 * @param seed - any int32; 0 means unseeded
 * @throws the same as {@link greetServer}
 */
export async function greetClient(
  reader: MultiplexReader,
  writer: MultiplexWriter,
  { protocolMax, seed }: { readonly protocolMax: number; readonly seed: number },
): Promise<Session> {
  const protocol = await exchangeVersions(reader, writer, protocolMax);
  let compatFlags = 0;
  let checksumName: ChecksumName = protocol >= 30 ? 'md5' : 'md4';
  if (protocol >= 30) {
    compatFlags = SERVER_FLAGS;
    writeVarint(writer, compatFlags);
    checksumName = await negotiateChecksum(reader, writer);
  }
  writer.int32(seed);
  writer.flush();
  writer.startMultiplex();
  if (protocol >= 30) reader.startMultiplex();
  return { protocol, compatFlags, checksumName, seed };
}

async function exchangeVersions(
  reader: MultiplexReader,
  writer: MultiplexWriter,
  protocolMax: number,
): Promise<number> {
  writer.int32(protocolMax);
  writer.flush();
  return Math.min(protocolMax, await readVersion(reader));
}

/**
 * Waits for the peer's first bytes. A peer that closes before them has refused, or does not exist.
 */
async function awaitBytes(reader: MultiplexReader, count: number): Promise<void> {
  while (reader.stream.available < count) {
    if (await reader.fillUnlessStopped()) continue;
    const shown = reader.stream.rest().toString('latin1');
    throw new RemoteError(
      'no-greeting',
      shown === ''
        ? 'the server closed the connection before rsync answered'
        : `the server closed the connection after saying ${JSON.stringify(shown)}`,
      { hint: 'Does the login run rsync there? Find out with: ecsync remote test' },
    );
  }
}

/** Messages of accounts that run no commands: OpenSSH's internal-sftp, nologin and the like. */
const NO_COMMANDS = /sftp connections only|not (?:currently )?available|may not be used|no shell/i;

function hintAbout(text: string): string {
  return NO_COMMANDS.test(text)
    ? 'The account there runs no commands, so nothing can be pushed to it. Give it a shell and rsync; reading works over SFTP if the account has that.'
    : 'The login there prints something on standard output. Make its shell start-up files quiet for commands that run without a terminal.';
}

async function readVersion(reader: MultiplexReader): Promise<number> {
  await awaitBytes(reader, 4);
  const bytes = await reader.read((stream) => stream.copy(4));
  const version = bytes.readInt32LE(0);
  if (version < PEER_VERSION_MIN || version > PEER_VERSION_MAX) {
    const shown = Buffer.concat([
      bytes,
      reader.stream.some(Math.min(60, reader.stream.available)),
    ]).toString('latin1');
    throw new RemoteError(
      'shell-not-clean',
      `the server said ${JSON.stringify(shown)} where rsync's version was expected`,
      { hint: hintAbout(shown) },
    );
  }
  if (version < PROTOCOL_OLDEST) {
    throw new RemoteError(
      'rsync-too-old',
      `the server speaks rsync protocol ${version}; at least ${PROTOCOL_OLDEST} is needed`,
      { hint: 'Install rsync 3 on the server.' },
    );
  }
  return version;
}

async function negotiateChecksum(
  reader: MultiplexReader,
  writer: MultiplexWriter,
): Promise<ChecksumName> {
  writeVstring(writer, OFFERED_BYTES);
  writer.flush();
  const theirs = await reader.read((bytes) =>
    readVstring(bytes, CHECKSUM_LIST_LENGTH_MAX, 'a list of checksum names'),
  );
  const names = new Set(theirs.toString('latin1').split(' '));
  const common = OFFERED.find((name) => names.has(name));
  if (common === undefined) {
    throw new RemoteError(
      'no-common-checksum',
      `the server supports none of the checksums ${OFFERED.join(', ')}`,
      {
        hint: 'The rsync on the server must be built with md5, and no environment variable may disable it.',
      },
    );
  }
  return common;
}
