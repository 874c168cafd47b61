import { setImmediate } from 'node:timers/promises';
import { ChunkSink } from '../../../src/bytes/chunk-sink.ts';
import { ChunkSource } from '../../../src/bytes/chunk-source.ts';
import type { ByteReader } from '../../../src/bytes/byte-reader.ts';
import { createStrongSums, type StrongSums } from '../../../src/rsync/wire/checksums.ts';
import {
  ITEM_REPORT_XATTR,
  ITEM_TRANSFER,
  MSG_ERROR_EXIT,
  NDX_DONE,
} from '../../../src/rsync/wire/constants.ts';
import { greetClient, greetServer } from '../../../src/rsync/wire/handshake.ts';
import { readVarint, writeVarint, writeVarlong } from '../../../src/rsync/wire/integers.ts';
import { readItemAttributes, writeItemAttributes } from '../../../src/rsync/wire/item-record.ts';
import { MultiplexReader, MultiplexWriter } from '../../../src/rsync/wire/multiplex.ts';
import { NdxReader, NdxWriter } from '../../../src/rsync/wire/ndx.ts';
import {
  NO_BASIS,
  readSumHead,
  writeSumHead,
  type SumHead,
} from '../../../src/rsync/wire/sum-head.ts';
import type { PairEnd } from '../../../src/transport/pair.ts';

/** The flags of every entry here: no owner, no group. */
const NO_OWNER = 0x18;
const PROTOCOL = 32;

/** One raw list entry; every field may be invalid. */
export interface RawEntry {
  readonly name: string;
  readonly flags?: number;
  /** Written instead of the real length of the name. */
  readonly nameLength?: number;
  readonly prefix?: number;
  readonly size?: number;
  readonly mtime?: number;
  readonly nsec?: number;
  readonly mode?: number;
  readonly target?: string;
  readonly targetLength?: number;
  /** Hard link reference: then nothing else follows. */
  readonly linkTo?: number;
}

/** A request of the server, with the fields that attacks need. */
export interface Asked {
  readonly ndx: number;
  readonly head: SumHead;
}

/** A sender that sends whatever a script says, valid or not. Protocol 32, no ids, no delete. */
export class FakeSender {
  readonly writer: MultiplexWriter;
  readonly #reader: MultiplexReader;
  readonly #sink: ChunkSink;
  readonly #output: PairEnd['output'];
  readonly #ndxReader = new NdxReader(PROTOCOL);
  #sums: StrongSums | undefined;
  /** Number of NDX_DONE that were read. */
  #marks = 0;
  readonly ndxWriter = new NdxWriter(PROTOCOL);

  constructor(end: PairEnd) {
    this.#output = end.output;
    this.#sink = new ChunkSink(end.output);
    this.writer = new MultiplexWriter(this.#sink);
    this.#reader = new MultiplexReader(new ChunkSource(end.input), (code) => {
      // A side that learns that the other has given up closes.
      if (code === MSG_ERROR_EXIT) end.output.end();
    });
  }

  async greet(): Promise<void> {
    this.#sums = await createStrongSums(await greetServer(this.#reader, this.writer, PROTOCOL));
  }

  /** The same in the role of the server of a pull, which reads filter rules first. */
  async greetAsServer(seed = 7): Promise<void> {
    const session = await greetClient(this.#reader, this.writer, { protocolMax: PROTOCOL, seed });
    this.#sums = await createStrongSums(session);
    for (;;) {
      const length = await this.#read((bytes) => bytes.int32());
      if (length === 0) return;
      await this.#read((bytes) => bytes.copy(length));
    }
  }

  /** Ends a file whose tokens were sent, with the checksum of `content`. */
  contentEnd(content: Uint8Array): void {
    this.token(0);
    this.#sums?.file.update(content);
    this.writer.bytes(this.#sums?.file.digest() ?? Buffer.alloc(0));
    this.flush();
  }

  /** Sends something repeatedly, as fast as it is read, until nobody reads any more. */
  async sayForEver(step: (i: number) => void): Promise<void> {
    for (let i = 0; !this.#output.destroyed && !this.#output.writableEnded; i++) {
      step(i);
      if (i % 256 === 255) await setImmediate();
      if (this.writer.blocked) await this.writer.drained();
    }
  }

  /** Sends raw bytes outside the frames of the writer. */
  writeRaw(bytes: Uint8Array): void {
    this.#sink.write(bytes);
  }

  /** Sends content as one literal, followed by the right checksum. */
  content(content: Uint8Array): void {
    this.literal(content);
    this.contentEnd(content);
  }

  entry(entry: RawEntry): void {
    const { writer } = this;
    const { name, prefix, nsec, target, linkTo, mode = 0o100644 } = entry;
    const bytes = Buffer.from(name, 'latin1');
    const length = entry.nameLength ?? bytes.length;
    const isLong = length > 255 || length < 0;
    let flags = NO_OWNER | (entry.flags ?? 0);
    if (isLong) flags |= 0x40;
    if (prefix !== undefined) flags |= 0x20;
    if (nsec !== undefined) flags |= 0x2000;
    if (linkTo !== undefined) flags |= 0x200;
    writeVarint(writer, flags);
    if (prefix !== undefined) writer.byte(prefix);
    if (isLong) writeVarint(writer, length);
    else writer.byte(length);
    writer.bytes(bytes);
    if (linkTo !== undefined) {
      writeVarint(writer, linkTo);
      return;
    }
    writeVarlong(writer, entry.size ?? 0, 3);
    writeVarlong(writer, entry.mtime ?? 1000, 4);
    if (nsec !== undefined) writeVarint(writer, nsec);
    writer.int32(mode);
    if (target === undefined) return;
    writeVarint(writer, entry.targetLength ?? target.length);
    writer.bytes(Buffer.from(target, 'latin1'));
  }

  /** Ends the list. */
  endList(ioError = 0): void {
    this.writer.byte(0);
    writeVarint(this.writer, ioError);
    this.writer.flush();
  }

  /** Sends `.` and these entries, then the end of the list. */
  list(...entries: RawEntry[]): void {
    this.entry({ name: '.', mode: 0o040755 });
    for (const entry of entries) this.entry(entry);
    this.endList();
  }

  /** Reads up to the next request for content. */
  async nextRequest(): Promise<Asked> {
    for (;;) {
      const ndx = await this.#readNdx();
      if (ndx < 0) continue;
      const { iflags } = await this.#read((bytes) => readItemAttributes(bytes, PROTOCOL));
      if ((iflags & ITEM_REPORT_XATTR) !== 0) {
        while ((await this.#read(readVarint)) !== 0);
      }
      if ((iflags & ITEM_TRANSFER) === 0) continue;
      return { ndx, head: await this.#readSums() };
    }
  }

  /** Begins an answer. */
  answer(ndx: number, head: SumHead = NO_BASIS, iflags = 0xa000): void {
    this.ndxWriter.write(this.writer, ndx);
    writeItemAttributes(this.writer, { iflags }, PROTOCOL);
    if ((iflags & ITEM_TRANSFER) !== 0) writeSumHead(this.writer, head);
  }

  literal(content: Uint8Array): void {
    this.writer.int32(content.length);
    this.writer.bytes(content);
  }

  token(value: number): void {
    this.writer.int32(value);
  }

  done(): void {
    this.ndxWriter.write(this.writer, NDX_DONE);
    this.writer.flush();
  }

  flush(): void {
    this.writer.flush();
  }

  /** Ends the conversation as the server of a pull: NDX_DONEs, statistics, the goodbye. */
  async finishAsServer(): Promise<void> {
    for (let i = 0; i < 3; i++) this.done();
    for (let i = 0; i < 5; i++) writeVarlong(this.writer, 9, 3);
    this.done();
    while (this.#marks < 5) {
      if ((await this.#readNdx()) < 0) continue;
      const { iflags } = await this.#read((bytes) => readItemAttributes(bytes, PROTOCOL));
      if ((iflags & ITEM_TRANSFER) !== 0) await this.#readSums();
    }
  }

  /** Runs everything up to the goodbye, for transfers that continue after the attack. */
  async finish(): Promise<void> {
    for (let i = 0; i < 4; i++) this.done();
    await this.#reader.drain().catch(() => undefined);
  }

  async #readNdx(): Promise<number> {
    const ndx = await this.#read((bytes) => this.#ndxReader.read(bytes));
    if (ndx === NDX_DONE) this.#marks++;
    return ndx;
  }

  async #readSums(): Promise<SumHead> {
    const head = await this.#read((bytes) => readSumHead(bytes, PROTOCOL));
    for (let i = 0; i < head.count; i++) {
      await this.#read((bytes) => bytes.copy(4 + head.s2length));
    }
    return head;
  }

  async #read<T>(decode: (reader: ByteReader) => T): Promise<T> {
    return this.#reader.read(decode);
  }
}
