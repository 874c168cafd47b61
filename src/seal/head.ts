/** The head of a seal: which generation of a copy its list is of, and who wrote it. */
import { createHmac, timingSafeEqual, type KeyObject } from 'node:crypto';
import { IntegrityError } from '../errors.ts';
import { digestOf } from './chunk.ts';
import { SEAL_DIGEST_LENGTH, sealInvalid } from './sealed-object.ts';

const FORMAT = 'ecsync seal 1';
const MAC_WORD = 'mac ';
const ID_LENGTH = 16;
export const SEAL_HEAD_LENGTH_MAX = 1024 * 1024;
const GENERATION_MAX = 999_999_999_999;
const NAMES_MAX = 10_000;

/** The number of a user or group, and the name that the writer's machine has for it. */
export type OwnerName = readonly [id: number, name: string];

/** What a head says. */
export interface SealHead {
  /** Identifies the master key: 16 bytes. */
  readonly vault: Uint8Array;
  /** 1 for the first head of a copy, one more for each later one. */
  readonly generation: number;
  /** Digest of the head before, 32 bytes; absent for the first one. */
  readonly previous?: Uint8Array;
  /** Who wrote it: 16 bytes that identify a vault, and the name of its machine, for people. */
  readonly writer: { readonly id: Uint8Array; readonly name: string };
  /** When, in milliseconds since 1970, by the writer's clock. */
  readonly timeMs: number;
  /** Name and version of the program. */
  readonly tool: string;
  /** `gcm`, `xchacha`, `reverse` or another name of a layout. */
  readonly layout: string;
  /** SHA-256 of the copy's `gocryptfs.conf`; absent where there is none. */
  readonly conf?: Uint8Array;
  /** Digest of the topmost chunk; absent for an empty list. */
  readonly list?: Uint8Array;
  /** Objects in the list. */
  readonly objects: number;
  /** Why objects of the source may be missing in the copy, or be older there; empty: nothing was left out. */
  readonly omitted: readonly string[];
  readonly users: readonly OwnerName[];
  readonly groups: readonly OwnerName[];
}

/**
 * ```text
 *  line 1   a JSON object: format, vault, generation, previous, writer, time, tool, layout, conf, list, objects,
 *           omitted, users, groups; bytes in hex, nothing for what is absent
 *  line 2   "mac " and HMAC-SHA-256 of line 1 without its line feed, in hex
 * ```
 *
 * Inverse of {@link readSealHead}.
 */
export function writeSealHead(head: SealHead, key: KeyObject): Buffer {
  const { generation, writer, timeMs, tool, layout, objects, omitted, users, groups } = head;
  const line = JSON.stringify({
    format: FORMAT,
    vault: hex(head.vault),
    generation,
    ...(head.previous && { previous: hex(head.previous) }),
    writer: { id: hex(writer.id), name: writer.name },
    time: new Date(timeMs).toISOString(),
    tool,
    layout,
    ...(head.conf && { conf: hex(head.conf) }),
    ...(head.list && { list: hex(head.list) }),
    objects,
    omitted,
    users,
    groups,
  });
  return Buffer.from(`${line}\n${MAC_WORD}${macOf(Buffer.from(line), key).toString('hex')}\n`);
}

/** By which a head is named in the next one: SHA-256 of its first line. */
export function sealHeadDigest(bytes: Uint8Array): Buffer {
  return digestOf(bytes.subarray(0, endOfLine(bytes)));
}

/**
 * Inverse of {@link writeSealHead}.
 *
 * @throws {IntegrityError} `seal-forged` — the key did not write it; `seal-invalid` — it cannot be
 *   read although it did
 */
export function readSealHead(bytes: Uint8Array, key: KeyObject): SealHead {
  if (bytes.length > SEAL_HEAD_LENGTH_MAX) throw sealInvalid('its head is too long');
  const end = endOfLine(bytes);
  const line = bytes.subarray(0, end);
  const expected = Buffer.from(`\n${MAC_WORD}${macOf(line, key).toString('hex')}\n`);
  const found = bytes.subarray(end);
  if (found.length !== expected.length || !timingSafeEqual(found, expected)) {
    throw new IntegrityError('seal-forged', 'the seal of the copy was not written by its key', {
      hint: 'The server, or somebody else, has changed it. A copy is read without its seal by --unsealed.',
    });
  }
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(line).toString());
  } catch {
    throw sealInvalid('its head is no JSON');
  }
  return headOf(new Fields(value));
}

function endOfLine(bytes: Uint8Array): number {
  const end = bytes.indexOf(0x0a);
  return end === -1 ? bytes.length : end;
}

function macOf(line: Uint8Array, key: KeyObject): Buffer {
  return createHmac('sha256', key).update(line).digest();
}

function headOf(fields: Fields): SealHead {
  const format = fields.text('format');
  if (format !== FORMAT) throw sealInvalid(`its format is ${JSON.stringify(format)}`);
  const writer = fields.inner('writer');
  const previous = fields.optionalBytes('previous', SEAL_DIGEST_LENGTH);
  const conf = fields.optionalBytes('conf', SEAL_DIGEST_LENGTH);
  const list = fields.optionalBytes('list', SEAL_DIGEST_LENGTH);
  return {
    vault: fields.bytes('vault', ID_LENGTH),
    generation: fields.number('generation', GENERATION_MAX),
    ...(previous && { previous }),
    writer: { id: writer.bytes('id', ID_LENGTH), name: writer.text('name') },
    timeMs: fields.timeMs('time'),
    tool: fields.text('tool'),
    layout: fields.text('layout'),
    ...(conf && { conf }),
    ...(list && { list }),
    objects: fields.number('objects', Number.MAX_SAFE_INTEGER),
    omitted: fields.list('omitted').map((one) => new Fields({ one }).text('one')),
    users: fields.list('users').map(ownerName),
    groups: fields.list('groups').map(ownerName),
  };
}

function ownerName(value: unknown): OwnerName {
  if (!Array.isArray(value) || value.length !== 2)
    throw sealInvalid('an owner in its head is none');
  const [id, name] = value as unknown[];
  const fields = new Fields({ id, name });
  return [fields.number('id', 0xffff_ffff), fields.text('name')];
}

/** The members of a JSON object, each checked where it is taken. */
class Fields {
  readonly #members: Readonly<Record<string, unknown>>;

  constructor(value: unknown) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw sealInvalid('a part of its head is no object');
    }
    this.#members = value as Record<string, unknown>;
  }

  text(name: string): string {
    const value = this.#members[name];
    if (typeof value !== 'string') throw sealInvalid(`${name} in its head is no text`);
    return value;
  }

  number(name: string, max: number): number {
    const value = this.#members[name];
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || value > max) {
      throw sealInvalid(`${name} in its head is no number in range`);
    }
    return value;
  }

  bytes(name: string, length: number): Buffer {
    const text = this.text(name);
    if (!/^[0-9a-f]*$/.test(text) || text.length !== length * 2) {
      throw sealInvalid(`${name} in its head is not ${length} bytes in hex`);
    }
    return Buffer.from(text, 'hex');
  }

  optionalBytes(name: string, length: number): Buffer | undefined {
    return this.#members[name] === undefined ? undefined : this.bytes(name, length);
  }

  timeMs(name: string): number {
    const time = Date.parse(this.text(name));
    if (Number.isNaN(time)) throw sealInvalid(`${name} in its head is no time`);
    return time;
  }

  inner(name: string): Fields {
    return new Fields(this.#members[name]);
  }

  list(name: string): readonly unknown[] {
    const value = this.#members[name];
    if (!Array.isArray(value) || value.length > NAMES_MAX) {
      throw sealInvalid(`${name} in its head is no list in range`);
    }
    return value;
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
