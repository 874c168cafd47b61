/** A read-only SFTP session over a connection. */
import { PeerWatch, type PeerVerdict } from '../../bytes/peer-watch.ts';
import { ByteReader } from '../../bytes/byte-reader.ts';
import {
  ConnectionError,
  FileError,
  ProtocolError,
  RemoteError,
  type EcsyncError,
} from '../../errors.ts';
import type { Connection } from '../connection.ts';
import * as wire from './packet.ts';
import type { SftpAttributes, SftpName } from './packet.ts';

/** Bytes per read request: every server must support this many. */
export const READ_LENGTH = 32 * 1024;
/** How long a server may take to greet, if no shorter limit is set. */
const GREETING_MS = 20_000;
/** Memory for the paths of one folder, including overhead: enough for about a million. */
const LISTING_WEIGHT_MAX = 512 * 1024 * 1024;
const ENTRY_WEIGHT = 200;
/** Longest target of a symlink, as elsewhere. */
const TARGET_LENGTH_MAX = 4095;
/** Names of a whole session: bounds folders that contain themselves. */
const NAMES_MAX = 10_000_000;

/** The time limit of a session, and the signal that interrupts it. */
export interface SftpOptions {
  /** For messages: `user@host`. */
  readonly shownName: string;
  /** Give up after this time without a byte while an answer is pending; 0 means never. */
  readonly idleTimeoutMs: number;
  readonly signal: AbortSignal;
}

/** A request whose answer is pending. */
interface Pending {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

interface Answer {
  readonly type: number;
  readonly fields: wire.SftpFields;
}

/**
 * A read-only SFTP session over a connection. Requests may overlap. Paths and names are bytes and
 * are not decoded. Every method can throw, in addition to what it lists: {ConnectionError}
 * `connection-lost`, `timeout`; {ProtocolError} `sftp-…`; the signal's reason; {FileError}
 * `not-found`, `permission-denied`, `sftp-failure`, which the server reports.
 */
export class SftpSession {
  bytesSent = 0;
  bytesReceived = 0;
  readonly #connection: Connection;
  readonly #options: SftpOptions;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #ended: Error | undefined;
  readonly #watch: PeerWatch;
  /** Names of all folders so far. */
  #nameCount = 0;
  #hasGreeted = false;
  #greeting: ((version: number) => void) | undefined;
  #failGreeting: (error: Error) => void = () => undefined;

  readonly #onAbort = (): void => this.#end(asError(this.#options.signal.reason));

  private constructor(connection: Connection, options: SftpOptions) {
    this.#connection = connection;
    this.#options = options;
    const idleMs = options.idleTimeoutMs > 0 ? options.idleTimeoutMs : Infinity;
    const silenceMs = (): number => (this.#hasGreeted ? idleMs : Math.min(idleMs, GREETING_MS));
    const received = (): number => this.bytesReceived;
    this.#watch = new PeerWatch(
      { silenceMs, stagnationMs: silenceMs },
      {
        isDue: () => this.#pending.size > 0 || !this.#hasGreeted,
        life: received,
        progress: received,
      },
      (verdict) => this.#giveUp(verdict),
    );
  }

  /**
   * @param connection - the subsystem `sftp`; the session owns it from now on
   * @throws {RemoteError} `sftp-refused` — the server does not offer SFTP
   */
  static async open(connection: Connection, options: SftpOptions): Promise<SftpSession> {
    const session = new SftpSession(connection, options);
    await session.#greet();
    return session;
  }

  /** All names in a directory except `.` and `..`. */
  async list(path: Uint8Array): Promise<SftpName[]> {
    const handle = await this.#handle(wire.SSH_FXP_OPENDIR, [path]);
    const names: SftpName[] = [];
    let weight = 0;
    try {
      for (;;) {
        const answer = await this.#request(wire.SSH_FXP_READDIR, [handle]);
        if (isEnd(answer)) return names;
        const page = this.#expect(answer, wire.SSH_FXP_NAME, path).names();
        // Empty pages would let the listing go on for ever.
        if (page.length === 0) throw endlessListing(path);
        this.#nameCount += page.length;
        for (const found of page) {
          const { name } = found;
          weight += path.length + name.length + ENTRY_WEIGHT;
          if (name.equals(DOT) || name.equals(DOT_DOT)) continue;
          assertName(name);
          names.push(found);
        }
        if (weight > LISTING_WEIGHT_MAX || this.#nameCount > NAMES_MAX) throw listingTooLarge(path);
      }
    } finally {
      this.close(handle);
    }
  }

  async lstat(path: Uint8Array): Promise<SftpAttributes> {
    const answer = await this.#request(wire.SSH_FXP_LSTAT, [path]);
    return this.#expect(answer, wire.SSH_FXP_ATTRS, path).attributes();
  }

  async readlink(path: Uint8Array): Promise<Buffer> {
    const answer = await this.#request(wire.SSH_FXP_READLINK, [path]);
    const [link] = this.#expect(answer, wire.SSH_FXP_NAME, path).names();
    if (link === undefined) throw new ProtocolError('sftp-packet', 'a link without a target');
    if (link.name.length <= TARGET_LENGTH_MAX) return link.name;
    const message = `the SFTP server sent ${link.name.length} bytes as the target of a link`;
    throw new ProtocolError('sftp-link', message);
  }

  /** @returns a handle for {@link read}, which the caller closes */
  openFile(path: Uint8Array): Promise<Buffer> {
    return this.#handle(wire.SSH_FXP_OPEN, [path, wire.SSH_FXF_READ, 0]);
  }

  async fstat(handle: Uint8Array): Promise<SftpAttributes> {
    const answer = await this.#request(wire.SSH_FXP_FSTAT, [handle]);
    return this.#expect(answer, wire.SSH_FXP_ATTRS, handle).attributes();
  }

  /**
   * Reads bytes of a file, at most `READ_LENGTH`. There may be fewer than requested, and none only
   * at its end.
   *
   * @param path - for messages
   */
  async read(
    handle: Uint8Array,
    { offset, length }: { readonly offset: number; readonly length: number },
    path: Uint8Array,
  ): Promise<Buffer> {
    const requested = Math.min(length, READ_LENGTH);
    const answer = await this.#request(wire.SSH_FXP_READ, [handle, { uint64: offset }, requested]);
    if (isEnd(answer)) return Buffer.alloc(0);
    const bytes = this.#expect(answer, wire.SSH_FXP_DATA, path).string();
    if (bytes.length > 0 && bytes.length <= requested) return bytes;
    throw new ProtocolError(
      'sftp-data',
      `the SFTP server sent ${bytes.length} bytes of ${requested} requested`,
    );
  }

  /** Does not wait: nothing can be done about a handle that cannot be closed. */
  close(handle: Uint8Array): void {
    this.#request(wire.SSH_FXP_CLOSE, [handle]).catch(() => undefined);
  }

  /** Ends the session; pending requests fail. */
  destroy(): void {
    this.#end(new ConnectionError('connection-closed', `${this.#options.shownName}: closed here`));
  }

  async #handle(type: number, fields: Parameters<typeof wire.encodeRequest>[2]): Promise<Buffer> {
    const [path] = fields;
    const answer = await this.#request(type, fields);
    const shown = path instanceof Uint8Array ? path : DOT;
    return this.#expect(answer, wire.SSH_FXP_HANDLE, shown).handle();
  }

  #request(type: number, fields: Parameters<typeof wire.encodeRequest>[2]): Promise<Answer> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const id = this.#nextId;
    this.#nextId = (id % 0xffffffff) + 1;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#send(wire.encodeRequest(type, id, fields));
    });
  }

  #send(bytes: Buffer): void {
    this.bytesSent += bytes.length;
    this.#connection.output.write(bytes);
  }

  /** @throws {FileError} the server reports a failure */
  #expect({ type, fields }: Answer, wanted: number, path: Uint8Array): wire.SftpFields {
    if (type === wanted) return fields;
    if (type !== wire.SSH_FXP_STATUS) {
      throw new ProtocolError('sftp-answer', `an SFTP answer of type ${type}, not ${wanted}`);
    }
    throw statusError(fields.uint32(), path);
  }

  async #greet(): Promise<void> {
    const { signal, shownName } = this.#options;
    signal.throwIfAborted();
    signal.addEventListener('abort', this.#onAbort, { once: true });
    void this.#receive();
    const version = new Promise<number>((resolve, reject) => {
      this.#greeting = resolve;
      this.#failGreeting = reject;
    });
    this.#send(Buffer.from([0, 0, 0, 5, wire.SSH_FXP_INIT, 0, 0, 0, wire.SFTP_VERSION]));
    try {
      const spoken = await version;
      if (spoken < wire.SFTP_VERSION) throw new ProtocolError('sftp-version', `SFTP ${spoken}`);
    } catch (cause) {
      this.destroy();
      signal.throwIfAborted();
      // A timeout or a lost connection does not mean that the server offers no SFTP.
      if (cause instanceof ConnectionError || cause instanceof RemoteError) throw cause;
      throw new RemoteError('sftp-refused', `${shownName}: the server does not offer SFTP`, {
        cause,
      });
    }
  }

  async #receive(): Promise<void> {
    const reader = new ByteReader();
    try {
      for await (const chunk of this.#connection.input) {
        const bytes = chunk as Buffer;
        this.bytesReceived += bytes.length;
        reader.append(bytes);
        for (let packet = nextPacket(reader); packet; packet = nextPacket(reader)) {
          this.#take(new wire.SftpFields(packet));
        }
      }
      throw this.#closed();
    } catch (error) {
      this.#end(asError(error));
    }
  }

  /** The error for a server that closed; one without SFTP ends the subsystem at once. */
  #closed(): RemoteError | ConnectionError {
    const { shownName } = this.#options;
    const lastLine = this.#connection.stderrText().trim().split('\n').at(-1) ?? '';
    const why = lastLine === '' ? '' : `: ${lastLine}`;
    return this.#hasGreeted
      ? new ConnectionError('connection-lost', `${shownName}: the SFTP server ended${why}`, {
          hint: 'Run again.',
        })
      : new RemoteError('sftp-refused', `${shownName}: the server does not offer SFTP${why}`);
  }

  #take(fields: wire.SftpFields): void {
    const type = fields.byte();
    if (type === wire.SSH_FXP_VERSION && this.#greeting !== undefined) {
      this.#greeting(fields.uint32());
      this.#greeting = undefined;
      this.#hasGreeted = true;
      return;
    }
    const id = fields.uint32();
    const pending = this.#pending.get(id);
    if (pending === undefined) {
      throw new ProtocolError(
        'sftp-answer',
        'the SFTP server answered a request that was not sent',
      );
    }
    this.#pending.delete(id);
    pending.resolve({ type, fields });
  }

  #giveUp({ afterMs }: PeerVerdict): void {
    const message = `${this.#options.shownName}: no answer for ${Math.round(afterMs / 1000)} s`;
    this.#end(new ConnectionError('timeout', message, { hint: 'Run again.' }));
  }

  #end(error: Error): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    this.#watch.end();
    this.#options.signal.removeEventListener('abort', this.#onAbort);
    this.#connection.destroy();
    this.#failGreeting(error);
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}

const DOT = Buffer.from('.');
const DOT_DOT = Buffer.from('..');

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

/** The next packet; undefined while it is not complete. */
function nextPacket(reader: ByteReader): Buffer | undefined {
  return reader.attempt((bytes) => {
    const length = bytes.bytes(4).readUInt32BE();
    if (length < 5 || length > wire.PACKET_LENGTH_MAX) {
      throw new ProtocolError('sftp-packet-length', `an SFTP packet of ${length} bytes`);
    }
    return bytes.bytes(length);
  });
}

function isEnd({ type, fields }: Answer): boolean {
  return type === wire.SSH_FXP_STATUS && fields.peekUint32() === wire.SSH_FX_EOF;
}

function assertName(name: Buffer): void {
  if (name.length > 0 && !name.includes(0x2f) && !name.includes(0)) return;
  const shown = JSON.stringify(name.toString('latin1'));
  throw new ProtocolError('sftp-name', `the SFTP server lists ${shown}, which is not a name`);
}

function endlessListing(path: Uint8Array): ProtocolError {
  const shown = Buffer.from(path).toString();
  return new ProtocolError('sftp-listing', `the SFTP server lists ${shown} without an end`);
}

function listingTooLarge(path: Uint8Array): ProtocolError {
  const shown = Buffer.from(path).toString();
  return new ProtocolError('sftp-listing', `${shown} holds more than can be listed over SFTP`, {
    hint: 'Read the copy by rsync instead of SFTP.',
  });
}

function statusError(status: number, path: Uint8Array): EcsyncError {
  const shown = Buffer.from(path).toString();
  const facts = { path: shown, status };
  if (status === wire.SSH_FX_NO_SUCH_FILE) {
    return new FileError('not-found', `${shown} is not there`, { facts });
  }
  if (status === wire.SSH_FX_PERMISSION_DENIED) {
    return new FileError('permission-denied', `${shown}: the server denies access`, {
      hint: 'Check the permissions there.',
      facts,
    });
  }
  return new FileError('sftp-failure', `${shown}: the SFTP server failed (status ${status})`, {
    facts,
  });
}
