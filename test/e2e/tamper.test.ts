// A share of the tamper table with the built command. The campaign runs all of it.
import { expect, inject, test } from 'vitest';
import { runTamperTable, type TamperRow } from '../support/tamper-table.ts';

/** What key and vault can detect, and what of it the key alone can. */
const BOTH = ['two folders exchanged', 'a block of zeros more', 'a hole moved'];
const VAULT_ONLY = [
  'cut at the end of a block',
  'the content of a deleted file',
  'a hole filled with its earlier content',
];

test('exchanged files are found with the key alone, missing or older ones with the vault', async () => {
  const rows: TamperRow[] = [];
  await runTamperTable({
    seed: 1,
    layouts: ['gcm'],
    cli: inject('cliPath'),
    mutations: [...BOTH, ...VAULT_ONLY],
    commands: ['fsck', 'clone'],
    onRow: (row) => rows.push(row),
  });
  const [whole, ...tampered] = rows;
  expect(whole?.outcomes).toEqual({ fsck: 'silent', clone: 'harmless' });
  for (const { mutation, outcomes } of tampered) {
    expect(outcomes.fsck, mutation).toBe('detected');
    if (BOTH.includes(mutation)) expect(outcomes.clone, mutation).toBe('detected');
  }
}, 240_000);
