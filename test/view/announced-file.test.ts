import { describe, expect, it } from 'vitest';
import { VanishedError } from '../../src/errors.ts';
import type { NewFile } from '../../src/tree/store.ts';
import { AnnouncedFile } from '../../src/view/announced-file.ts';

/** Records what is done with a file under construction. */
class Outcome implements NewFile {
  length = 0;
  end = 'open';

  write(bytes: Uint8Array): undefined {
    this.length += bytes.length;
  }
  commit(): Promise<undefined> {
    this.end = 'committed';
    return Promise.resolve(undefined);
  }
  discard(): Promise<void> {
    this.end = 'discarded';
    return Promise.resolve();
  }
}

function announced(size: number): { outcome: Outcome; file: AnnouncedFile } {
  const outcome = new Outcome();
  return { outcome, file: new AnnouncedFile(outcome, { path: Buffer.from('a/b'), size }) };
}

describe('a file whose length was announced', () => {
  it.each([0, 1, 10])('gets its name with %i bytes, in pieces', async (size) => {
    const { outcome, file } = announced(size);
    for (let i = 0; i < size; i++) await file.write(Buffer.alloc(1));
    await file.commit({});
    expect(outcome).toMatchObject({ end: 'committed', length: size });
  });

  it.each([
    [10, 0],
    [10, 9],
    [10, 11],
    [0, 1],
  ])('does not with %i bytes announced and %i sent', async (size, sent) => {
    const { outcome, file } = announced(size);
    await file.write(Buffer.alloc(sent));
    const ended = file.commit({});
    await expect(ended).rejects.toMatchObject({
      code: 'size-differs',
      message: `a/b: the copy lists ${size} bytes, but ${sent} arrived; not restored`,
      facts: { path: 'a/b', listed: size, received: sent },
    });
    await expect(ended).rejects.toHaveProperty('cause', expect.any(VanishedError));
    expect(outcome.end).toBe('discarded');
  });
});
