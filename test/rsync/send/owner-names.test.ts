// Goal: a server learns only the names of accounts that own an entry of the list.
import { describe, expect, it } from 'vitest';
import { send } from '../../../src/rsync/send/sender.ts';
import { FakePeer, Generator, frame, greeting } from '../../support/fake-peer.ts';
import { MemoryTree } from '../../support/memory-tree.ts';
import { ARCHIVE, listAll } from '../../support/stock-rsync.ts';

describe.each([29, 32])('names of owners at protocol %i', (protocol) => {
  it('are sent for the ids of the list and no others', async () => {
    const tree = new MemoryTree();
    tree.addFile('a', Buffer.from('a'));
    const generator = new Generator(protocol);
    const dones = Array.from({ length: protocol >= 31 ? 5 : 4 }, () => generator.done());
    const peer = new FakePeer()
      .say(greeting(protocol))
      .say(frame(0, Buffer.concat(dones)))
      .close();
    await send(peer, {
      entries: await listAll(tree),
      open: (entry) => tree.open(entry),
      options: { ...ARCHIVE, protocolMax: protocol, numericIds: false },
      names: {
        users: new Map([
          [7, 'owner-seven'],
          [9, 'neighbour'],
        ]),
        groups: new Map([
          [8, 'group-eight'],
          [9, 'neighbours'],
        ]),
      },
    });
    const heard = Buffer.concat(peer.heard).toString('latin1');
    expect(heard).toContain('owner-seven');
    expect(heard).toContain('group-eight');
    expect(heard).not.toContain('neighbour');
  });
});
