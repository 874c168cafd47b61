/** Finds login methods of a configuration that only the system's ssh supports. */
import { access, readFile } from 'node:fs/promises';
import path from 'node:path';
import { publicKeyType } from './known-hosts.ts';
import type { SshHostConfig } from './config/config.ts';
import { KEY_FILE_BYTES_MAX, publicBlobInside } from './key-file.ts';

/** Security keys that ssh looks for by default. */
const USUAL_SECURITY_KEYS = ['id_ecdsa_sk', 'id_ed25519_sk'];

/**
 * Finds login methods of a configuration that only the system's ssh supports: hardware keys (FIDO),
 * certificates next to a key file, Kerberos if there is a ticket, and host-based login.
 */
export async function findSystemOnlyMethods(
  config: SshHostConfig,
  homeDir: string,
): Promise<string[]> {
  const ways: string[] = [];
  if (config.loginMethods.includes('publickey')) {
    const usual = config.identityFilesNamed
      ? []
      : USUAL_SECURITY_KEYS.map((name) => path.join(homeDir, '.ssh', name));
    for (const file of [...config.identityFiles, ...usual]) {
      if (await isSecurityKey(file)) ways.push(`the security key ${file}`);
      if (await exists(`${file}-cert.pub`)) ways.push(`the certificate ${file}-cert.pub`);
    }
  }
  const { unsupportedMethods } = config;
  if (unsupportedMethods.includes('hostbased')) ways.push('HostbasedAuthentication');
  if (unsupportedMethods.includes('gssapi-with-mic') && (await hasTicket())) {
    ways.push('GSSAPIAuthentication');
  }
  return ways;
}

async function isSecurityKey(file: string): Promise<boolean> {
  const publicHalf = await readSmall(`${file}.pub`);
  if (publicHalf !== undefined) return publicHalf.toString('latin1', 0, 3) === 'sk-';
  const bytes = await readSmall(file);
  const blob = bytes === undefined ? undefined : publicBlobInside(bytes);
  return blob !== undefined && publicKeyType(blob)?.startsWith('sk-') === true;
}

async function readSmall(file: string): Promise<Buffer | undefined> {
  const bytes = await readFile(file).catch(() => undefined);
  return bytes !== undefined && bytes.length <= KEY_FILE_BYTES_MAX ? bytes : undefined;
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

/** Debian enables GSSAPI for everybody, but it matters only to users with a Kerberos ticket. */
async function hasTicket(): Promise<boolean> {
  if ((process.env['KRB5CCNAME'] ?? '') !== '') return true;
  const uid = process.getuid?.();
  return uid !== undefined && (await exists(`/tmp/krb5cc_${uid}`));
}
