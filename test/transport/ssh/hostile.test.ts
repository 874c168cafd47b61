/**
 * Goal: a server that breaks the rules of ssh is disconnected, in bounded memory, with a typed
 * error. Method: ssh2's own server, modified to misbehave.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import ssh2, { type ServerChannel } from 'ssh2';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ConnectionError } from '../../../src/errors.ts';
import type { Connection, Remote } from '../../../src/transport/connection.ts';
import { connectSsh } from '../../support/connect-ssh.ts';
import { freePort, makeKey, readPublicKey } from '../../support/sshd.ts';

/** The parts of ssh2's server side that can break the rules. */
interface Wire {
  readonly outgoing: { readonly id: number };
  readonly _client: {
    readonly _sock: { destroy(): void; write(bytes: Buffer): void };
    readonly _protocol: {
      channelData(id: number, bytes: Buffer): void;
      channelExtData(id: number, bytes: Buffer, type: number): void;
      channelEOF(id: number): void;
      channelClose(id: number): void;
      exitStatus(id: number, code: number): void;
    };
  };
}

let home: string;
let server: InstanceType<typeof ssh2.Server>;
let remote: Remote;
let misbehave: (wire: Wire) => void;

beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'ecsync-hostile-'));
  await mkdir(path.join(home, '.ssh'));
  const hostKey = path.join(home, 'host');
  await makeKey(hostKey);
  server = new ssh2.Server({ hostKeys: [await readFile(hostKey)] }, (client) => {
    client.on('error', () => undefined);
    client.on('authentication', (attempt) => {
      attempt.accept();
    });
    client.on('session', (accept) => {
      accept().on('exec', (acceptExec) => {
        const channel: ServerChannel = acceptExec();
        misbehave(channel as unknown as Wire);
      });
    });
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  await writeFile(
    path.join(home, '.ssh/known_hosts'),
    `[127.0.0.1]:${port} ${await readPublicKey(`${hostKey}.pub`)}\n`,
  );
  remote = await connectSsh(
    { host: '127.0.0.1', port, user: 'u' },
    { acceptNewHostKey: false, connectTimeoutMs: 20_000, homeDir: home },
  );
});

afterEach(async () => {
  await remote.close();
  server.close();
  await rm(home, { recursive: true, force: true });
});

async function lostBy(act: (wire: Wire) => void): Promise<Connection> {
  misbehave = act;
  const connection = await remote.start('x', []);
  await expect(connection.exited).rejects.toBeInstanceOf(ConnectionError);
  await expect(connection.exited).rejects.toMatchObject({ code: 'connection-lost' });
  expect(connection.input.errored).toBeInstanceOf(ConnectionError);
  return connection;
}

test('one that sends more than its window is disconnected', async () => {
  await lostBy(({ outgoing, _client }) => {
    for (let i = 0; i < 2000; i++) _client._protocol.channelData(outgoing.id, Buffer.alloc(32_000));
  });
});

test('one that renews its window with standard error is disconnected', async () => {
  await lostBy(({ outgoing, _client }) => {
    for (let i = 0; i < 2000; i++) {
      _client._protocol.channelData(outgoing.id, Buffer.alloc(32_000));
      _client._protocol.channelExtData(outgoing.id, Buffer.alloc(1), 1);
    }
  });
});

test('one that disconnects during a transfer', async () => {
  await lostBy(({ outgoing, _client }) => {
    _client._protocol.channelData(outgoing.id, Buffer.from('half'));
    setTimeout(() => {
      _client._sock.destroy();
    }, 50);
  });
});

test('one that sends garbage instead of packets', async () => {
  await lostBy(({ _client }) => {
    _client._sock.write(Buffer.alloc(100_000, 0xee));
  });
});

test('one that closes the channel without a status', async () => {
  misbehave = ({ outgoing, _client }) => {
    _client._protocol.channelEOF(outgoing.id);
    _client._protocol.channelClose(outgoing.id);
  };
  const connection = await remote.start('x', []);
  connection.input.resume();
  await expect(connection.exited).rejects.toMatchObject({ code: 'connection-lost' });
});

test('one that sends a status and then disconnects with unfinished output', async () => {
  await lostBy(({ outgoing, _client }) => {
    _client._protocol.channelData(outgoing.id, Buffer.from('half'));
    _client._protocol.exitStatus(outgoing.id, 0);
    setTimeout(() => {
      _client._sock.destroy();
    }, 50);
  });
});
