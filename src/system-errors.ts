/** Texts for errors of the operating system, instead of names such as `ENOSPC`. */
import { getSystemErrorMap } from 'node:util';
import { errnoOf } from './platform.ts';

/** Own texts where Node has none, or misleading ones. */
const OWN_TEXTS: Readonly<Record<string, string>> = {
  EAI_AGAIN: 'the name cannot be looked up just now',
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the other side closed the connection',
  EDQUOT: 'disk quota exceeded',
  EHOSTUNREACH: 'no route to it',
  EIO: 'input/output error',
  EISDIR: 'it is not a file',
  ELOOP: 'it is a symbolic link, or leads through a loop of them',
  ENAMETOOLONG: 'file name too long',
  ENETUNREACH: 'no network',
  ENFILE: 'too many open files on this machine',
  ENOTDIR: 'a part of the path is not a folder',
  ENOTFOUND: 'the name is not known',
  ENOTSUP: 'not supported there',
  EPIPE: 'the other side has stopped reading',
  ESTALE: 'the file server no longer knows it',
  ETIMEDOUT: 'no answer',
  ETXTBSY: 'the program is running',
  EXDEV: 'it lies on another file system',
};

let nodeReason: ReadonlyMap<string, string> | undefined;

/**
 * Why the system refused something, as text after a colon: `permission denied`. Undefined for other
 * errors.
 */
export function systemReason(error: unknown): string | undefined {
  const errno = errnoOf(error);
  if (Object.hasOwn(OWN_TEXTS, errno)) return OWN_TEXTS[errno];
  nodeReason ??= new Map(getSystemErrorMap().values());
  return nodeReason.get(errno);
}

/** Why something failed: the text for a system error, or the error's own message. */
export function reasonOf(error: unknown): string {
  const words = systemReason(error);
  if (words !== undefined) return words;
  return error instanceof Error ? error.message : String(error);
}
