/** Finds ways to log in that a configuration has and the built-in ssh does not. */
import { access, readFile } from 'node:fs/promises';
import path from 'node:path';
import { publicKeyType } from './known-hosts.ts';
import type { SshHostConfig } from './config/config.ts';
import { KEY_FILE_BYTES_MAX, publicBlobInside } from './key-file.ts';

/** Security keys that ssh looks for when none is named. */
const USUAL_SECURITY_KEYS = ['id_ecdsa_sk', 'id_ed25519_sk'];

/**
 * Ways to log in that a configuration has and the built-in ssh has not: keys on hardware (FIDO),
 * certificates beside a key file, Kerberos when there is a ticket, host-based login.
 */
export async function findForeignWays(config: SshHostConfig, homeDir: string): Promise<string[]> {
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
  const { foreignMethods } = config;
  if (foreignMethods.includes('hostbased')) ways.push('HostbasedAuthentication');
  if (foreignMethods.includes('gssapi-with-mic') && (await hasTicket())) {
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

/** Debian configures GSSAPI for everybody: it means something only to who has a Kerberos ticket. */
async function hasTicket(): Promise<boolean> {
  if ((process.env['KRB5CCNAME'] ?? '') !== '') return true;
  const uid = process.getuid?.();
  return uid !== undefined && (await exists(`/tmp/krb5cc_${uid}`));
}
