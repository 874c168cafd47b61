// Writes dist/man/ecsync.1, the manual page of the package, with the command that was just built.
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const dist = new URL('../dist/', import.meta.url);
const command = new URL('bin/ecsync.js', dist);
const page = execFileSync(process.execPath, [fileURLToPath(command), 'help', 'man']);
mkdirSync(new URL('man/', dist), { recursive: true });
writeFileSync(new URL('man/ecsync.1', dist), page);
