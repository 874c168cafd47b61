/** The names of users and groups of this machine. */
import { readFileSync } from 'node:fs';

const USERS = '/etc/passwd';
const GROUPS = '/etc/group';

/** Names of user ids, from this machine's own file; empty where there is no such file. */
export function userNames(): Map<number, string> {
  return namesById(USERS);
}

/** Names of group ids; otherwise like {@link userNames}. */
export function groupNames(): Map<number, string> {
  return namesById(GROUPS);
}

/** The inverse of {@link userNames}. For a name with several ids, the first counts. */
export function userIds(): Map<string, number> {
  return idsByName(USERS);
}

/** The inverse of {@link groupNames}. */
export function groupIds(): Map<string, number> {
  return idsByName(GROUPS);
}

function namesById(file: string): Map<number, string> {
  const names = new Map<number, string>();
  for (const { name, id } of readAccounts(file)) if (!names.has(id)) names.set(id, name);
  return names;
}

function idsByName(file: string): Map<string, number> {
  const ids = new Map<string, number>();
  for (const { name, id } of readAccounts(file)) if (!ids.has(name)) ids.set(name, id);
  return ids;
}

/** Reads lines `name:password:id:…`. */
function readAccounts(file: string): { readonly name: string; readonly id: number }[] {
  let text: string;
  try {
    text = readFileSync(file, 'latin1');
  } catch {
    return []; // Windows has no such file; without names, ids are sent as numbers
  }
  const accounts: { readonly name: string; readonly id: number }[] = [];
  for (const line of text.split('\n')) {
    const [name = '', , id = ''] = line.split(':');
    if (name !== '' && /^\d{1,10}$/.test(id)) accounts.push({ name, id: Number(id) });
  }
  return accounts;
}
