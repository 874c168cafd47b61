// Targets for everything that a peer sends: records of the rsync protocol, packets of SFTP, lines
// of a daemon, output of getfattr.
import { PassThrough } from 'node:stream';
import { ByteReader } from '../../src/bytes/byte-reader.ts';
import { ByteWriter } from '../../src/bytes/byte-writer.ts';
import { ChunkSource } from '../../src/bytes/chunk-source.ts';
import { readSenderRules, readFilterList } from '../../src/rsync/flist/filter-list.ts';
import { readFlist } from '../../src/rsync/flist/decode.ts';
import { FlistEncoder } from '../../src/rsync/flist/encode.ts';
import type { FlistFormat } from '../../src/rsync/flist/format.ts';
import { readIdLists } from '../../src/rsync/flist/id-list.ts';
import {
  readLongint,
  readVarint,
  readVarlong,
  readVstring,
} from '../../src/rsync/wire/integers.ts';
import { readItemAttributes } from '../../src/rsync/wire/item-record.ts';
import { MultiplexReader } from '../../src/rsync/wire/multiplex.ts';
import { NdxReader } from '../../src/rsync/wire/ndx.ts';
import { parseServerArgs } from '../../src/rsync/wire/options.ts';
import { parseSenderArgs } from '../../src/rsync/send/sender-arguments.ts';
import { readSumHead } from '../../src/rsync/wire/sum-head.ts';
import { readToken } from '../../src/rsync/wire/tokens.ts';
import { readXattrRequest } from '../../src/rsync/flist/xattrs.ts';
import { GetfattrOutput } from '../../src/transport/programs/getfattr-output.ts';
import { SftpFields } from '../../src/transport/sftp/packet.ts';
import type { Target } from './target.ts';

const PROTOCOLS = [27, 29, 30, 31, 32] as const;

function formatOf(protocol: number): FlistFormat {
  return {
    protocol,
    varintFlags: protocol >= 30,
    safeEnd: protocol >= 30,
    id0Names: protocol >= 30,
    links: true,
    owner: true,
    group: true,
    devices: true,
    specials: true,
    hardLinks: true,
    numericIds: false,
    checksumLength: 0,
  };
}

function aList(protocol: number): Buffer {
  const writer = new ByteWriter();
  const encoder = new FlistEncoder(formatOf(protocol));
  const facts = { size: 6, mtimeSec: 0x65937d25, mtimeNsec: 0, uid: 0, gid: 4 };
  const entry = (path: string, mode: number, more: object = {}): void =>
    encoder.writeEntry(
      writer,
      { ...facts, path: Buffer.from(path), mode, ...more },
      Buffer.alloc(16),
    );
  entry('.', 0o40755);
  entry('a file', 0o100644);
  entry('a link', 0o120777, { target: Buffer.from('target') });
  entry('b', 0o100644, { linkGroup: 1 });
  entry('c', 0o100644, { linkGroup: 1 });
  entry('device', 0o20644, { rdev: { major: 1, minor: 3 } });
  entry('folder', 0o40755);
  entry(`folder/${'n'.repeat(200)}`, 0o100600, { size: 2 ** 33 });
  encoder.writeEnd(writer, 0);
  return writer.copy();
}

/** Bytes as they arrive over a connection, in frames or without. */
function streamOf(bytes: Buffer, isFramed = false): MultiplexReader {
  const stream = new PassThrough();
  stream.end(bytes);
  const reader = new MultiplexReader(new ChunkSource(stream), () => undefined);
  if (isFramed) reader.startMultiplex();
  return reader;
}

function framed(bytes: Buffer): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt32LE(7 * 0x1000000 + bytes.length, 0);
  return Buffer.concat([header, bytes]);
}

/** Reads as many records as there are. */
function repeatedly(read: (reader: ByteReader) => unknown): (bytes: Buffer) => void {
  return (bytes) => {
    const reader = new ByteReader(bytes);
    for (let count = 0; count < 500 && reader.attempt((all) => [read(all)]) !== undefined; count++);
  };
}

const NUMBERS = Buffer.from('00017f80ffc0ffffe0ffffffff0000008001020304050607', 'hex');
const RULES = Buffer.from('040000002d206120050000002b202f612f00000000', 'hex');

const RECORDS: readonly Target[] = [
  { name: 'varint', samples: [NUMBERS], read: repeatedly(readVarint) },
  {
    name: 'varlong',
    samples: [NUMBERS],
    read: repeatedly((reader) => [readVarlong(reader, 3), readVarlong(reader, 4)]),
  },
  { name: 'longint', samples: [NUMBERS], read: repeatedly(readLongint) },
  {
    name: 'string of the wire',
    samples: [Buffer.from('\x05hello\x80\x03abc')],
    read: repeatedly((reader) => readVstring(reader, 255, 'names')),
  },
  {
    name: 'tokens',
    samples: [Buffer.from('05000000686868686800000000ffffffff', 'hex')],
    read: repeatedly((reader) => readToken(reader, 10)),
  },
  {
    name: 'xattr request',
    samples: [Buffer.from('010100', 'hex')],
    read: repeatedly((reader) =>
      readXattrRequest(reader, [{ name: Buffer.from('user.a'), value: Buffer.alloc(100) }]),
    ),
  },
  ...PROTOCOLS.flatMap((protocol): Target[] => [
    {
      name: `item records ${protocol}`,
      samples: [Buffer.from('00a00018030361626300a0', 'hex')],
      read: repeatedly((reader) => readItemAttributes(reader, protocol)),
    },
    {
      name: `sum heads ${protocol}`,
      samples: [Buffer.from('0a000000bc020000020000001e000000', 'hex')],
      read: repeatedly((reader) => readSumHead(reader, protocol)),
    },
    {
      name: `indexes ${protocol}`,
      samples: [Buffer.from('010203feffffff05ff01fe00800000', 'hex')],
      read: (bytes) => {
        const indexes = new NdxReader(protocol);
        repeatedly((reader) => indexes.read(reader))(bytes);
      },
    },
    {
      name: `file list ${protocol}`,
      samples: [aList(protocol)],
      read: (bytes) => readFlist(streamOf(bytes), formatOf(protocol)),
    },
    {
      name: `id lists ${protocol}`,
      samples: [Buffer.from('0104726f6f74000004726f6f7400', 'hex'), NUMBERS],
      read: (bytes) => readIdLists(streamOf(bytes), formatOf(protocol)),
    },
    {
      name: `filter list ${protocol}`,
      samples: [RULES],
      read: (bytes) => readFilterList(streamOf(bytes), protocol),
    },
    {
      name: `sender's rules ${protocol}`,
      samples: [RULES],
      read: (bytes) => readSenderRules(streamOf(bytes), protocol),
    },
  ]),
];

/** A whole stream of frames, including messages. */
const FRAMES: Target = {
  name: 'frames',
  samples: [
    Buffer.concat([framed(Buffer.from('some data')), Buffer.from('050000096572726f72', 'hex')]),
  ],
  read: async (bytes) => {
    const reader = streamOf(bytes, true);
    while (await reader.fill());
  },
};

const PACKET = Buffer.from(
  '00000001000000026162000000026162000000 0f0000000000000010000003e8000003e8000081a46593 7d2565937d25'.replaceAll(
    ' ',
    '',
  ),
  'hex',
);

const OTHERS: readonly Target[] = [
  FRAMES,
  { name: 'SFTP names', samples: [PACKET], read: (bytes) => new SftpFields(bytes).names() },
  {
    name: 'SFTP attributes',
    samples: [PACKET.subarray(16)],
    read: (bytes) => new SftpFields(bytes).attributes(),
  },
  {
    name: 'getfattr output',
    samples: [Buffer.from('# file: a\\040b\nuser.x=0sYWJj\nuser.y=0s\n\n# file: c\n\n')],
    read: (bytes) => {
      const output = new GetfattrOutput();
      output.push(bytes.subarray(0, bytes.length >> 1));
      output.push(bytes.subarray(bytes.length >> 1));
      output.end();
    },
  },
  {
    name: "a server's words",
    samples: [Buffer.from('--server\0-lHogDtpre.LsfxCIvu\0--delete-after\0.\0/x')],
    read: (bytes) => parseServerArgs(bytes.toString('latin1').split('\0')),
  },
  {
    name: "a sending server's words",
    samples: [Buffer.from('--server\0--sender\0-lHogDtpre.LsfxCIvu\0.\0/x')],
    read: (bytes) => parseSenderArgs(bytes.toString('latin1').split('\0')),
  },
];

export const WIRE_TARGETS: readonly Target[] = [...RECORDS, ...OTHERS];
