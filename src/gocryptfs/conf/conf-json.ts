/**
 * JSON with the rules of gocryptfs.conf: one object of limited size, field names in any case, and
 * no field twice, because two readers could then see two different filesystems.
 */
import { VaultError, type VaultCode } from '../../errors.ts';
import { CONF_LENGTH_MAX } from '../format/limits.ts';

const RESTORE_HINT =
  'Restore gocryptfs.conf from a backup, or create it again from the recovery sheet.';

/** The error for an invalid gocryptfs.conf. */
export function confError(code: VaultCode, message: string, cause?: unknown): VaultError {
  return new VaultError(code, `gocryptfs.conf: ${message}`, {
    hint: RESTORE_HINT,
    ...(cause === undefined ? {} : { cause }),
  });
}

/** The error for a gocryptfs.conf with something that no known release writes. */
export function confTooNew(code: VaultCode, message: string): VaultError {
  return new VaultError(code, `gocryptfs.conf: ${message}`, {
    hint: 'If a newer gocryptfs made it, look for a newer ecsync. Otherwise restore it from a backup.',
  });
}

/** The error for a gocryptfs.conf of an unsupported old kind of filesystem. */
export function confTooOld(code: VaultCode, message: string): VaultError {
  return new VaultError(code, `gocryptfs.conf: ${message}`, {
    hint: 'No release from 1.0 on opens it. Mount it with an older one and copy the content.',
  });
}

/**
 * Field names are compared in this form. Go's JSON reader folds case, including two letters outside
 * ASCII: the long s, and the Kelvin sign, which lower-casing turns into k by itself.
 */
function foldFieldName(name: string): string {
  return name.toLowerCase().replaceAll('\u017f', 's');
}

/**
 * The top-level object of a conf, its names folded.
 *
 * @throws {VaultError} `conf-too-large`, `conf-bom`, `conf-not-utf8`, `conf-not-json` — also for
 *   anything after the closing brace —, `conf-duplicate-field`
 */
export function parseConfJson(bytes: Uint8Array): ReadonlyMap<string, unknown> {
  if (bytes.length > CONF_LENGTH_MAX) {
    throw confError(
      'conf-too-large',
      `${bytes.length} bytes, at most ${CONF_LENGTH_MAX} make sense`,
    );
  }
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) {
    throw confError('conf-bom', 'starts with a byte order mark, which gocryptfs does not accept');
  }
  const text = decodeUtf8(bytes);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw confError('conf-not-json', 'is not complete JSON', cause);
  }
  refuseDuplicateFields(text);
  const fields = asFields(value);
  if (fields === undefined) throw confError('conf-not-json', 'is not a JSON object');
  return fields;
}

/** The fields of a JSON object by folded name; undefined for every other kind of value. */
export function asFields(value: unknown): ReadonlyMap<string, unknown> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return new Map(Object.entries(value).map(([name, field]) => [foldFieldName(name), field]));
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw confError('conf-not-utf8', 'is not UTF-8 text', cause);
  }
}

/** Walks the tokens of a valid JSON text and compares the names in each object. */
function refuseDuplicateFields(text: string): void {
  const open: Set<string>[] = [];
  let lastString = '';
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}:]/g)) {
    if (token === '{') open.push(new Set());
    else if (token === '}') open.pop();
    else if (token !== ':') lastString = token;
    else {
      const name = foldFieldName(String(JSON.parse(lastString)));
      const names = open.at(-1);
      if (names?.has(name) === true) {
        throw confError('conf-duplicate-field', `has the field ${JSON.stringify(name)} twice`);
      }
      names?.add(name);
    }
  }
}
