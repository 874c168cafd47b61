/** Goal: a local process behaves as a connection. Method: real processes. */
import { afterEach, describe, expect, test } from 'vitest';
import { ConnectionError, RemoteError } from '../../src/errors.ts';
import { localCommands } from '../../src/transport/child.ts';
import type { Connection } from '../../src/transport/connection.ts';
import { readAll, sha256, sendZeros, ZEROS_200_MIB } from './streams.ts';

const remote = localCommands();
const shell = (script: string): Promise<Connection> => remote.start('sh -c', [script]);

afterEach(() => remote.close());

describe('localCommands()', () => {
  test('carries bytes both ways, arguments verbatim, and the exit status', async () => {
    const connection = await remote.start('sh', [
      '-c',
      'cat; printf %s "$1" >&2; exit 7',
      'sh',
      'a  *',
    ]);
    connection.output.end('hello');
    expect((await readAll(connection.input)).toString()).toBe('hello');
    expect(await connection.exited).toEqual({ code: 7, signal: null });
    expect(connection.stderrText()).toBe('a  *');
  });

  test('a missing program is a RemoteError', async () => {
    const starting = remote.start('no-such-program-here', []);
    await expect(starting).rejects.toBeInstanceOf(RemoteError);
    await expect(starting).rejects.toMatchObject({ code: 'program-missing' });
    await expect(remote.start('/etc', [])).rejects.toMatchObject({ code: 'program-not-started' });
  });

  test('no password of ecsync is in the environment', async () => {
    process.env['ECSYNC_PASSWORD'] = 'secret';
    process.env['ECSYNC_PASSWORD_FILE'] = '/secret';
    process.env['ECSYNC_OTHER'] = 'kept';
    const connection = await remote.start('env', []);
    const text = (await readAll(connection.input)).toString();
    expect(text).toContain('ECSYNC_OTHER=kept');
    expect(text).not.toContain('ECSYNC_PASSWORD');
  });

  test('writing to an ended process is a ConnectionError, and its standard error is kept', async () => {
    const connection = await shell('exec <&-; echo out; echo why >&2; exit 3');
    const failed = new Promise((resolve) => connection.output.once('error', resolve));
    const pump = setInterval(() => connection.output.write(Buffer.alloc(65_536)), 1);
    expect(await failed).toBeInstanceOf(ConnectionError);
    clearInterval(pump);
    expect((await readAll(connection.input)).toString()).toBe('out\n');
    expect(await connection.exited).toEqual({ code: 3, signal: null });
    expect(connection.stderrText()).toBe('why\n');
  });

  test('a flood on standard error is drained, and its end is kept', async () => {
    const connection = await shell('head -c 30000000 /dev/zero >&2; echo the end >&2; echo done');
    expect((await readAll(connection.input)).toString()).toBe('done\n');
    await connection.exited;
    expect(connection.stderrText().length).toBe(65_536);
    expect(connection.stderrText().endsWith('the end\n')).toBe(true);
  });

  test('200 MiB pass both ways, with back-pressure from a slow reader', async () => {
    const connection = await remote.start('cat', []);
    const sending = sendZeros(connection.output, 200);
    expect(await sha256(connection.input, { pauseEvery: 16 * 1024 * 1024 })).toBe(ZEROS_200_MIB);
    await sending;
    expect(await connection.exited).toEqual({ code: 0, signal: null });
  });

  test('without a reader the writer gets back-pressure', async () => {
    const connection = await remote.start('cat', []);
    const { output } = connection;
    let written = 0;
    const write = (): void => {
      while (written < 64 * 1024 * 1024 && output.write(Buffer.alloc(65_536))) written += 65_536;
    };
    output.on('drain', write);
    write();
    // The pipes fill up; a writer without back-pressure would have written everything long before.
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(written).toBeLessThan(4 * 1024 * 1024);
    connection.destroy();
    await connection.exited;
  });

  test('destroy() ends a process that ignores SIGTERM', async () => {
    const connection = await shell('trap "" TERM; echo up; while :; do sleep 0.05; done');
    await new Promise((resolve) => connection.input.once('data', resolve));
    connection.destroy();
    connection.destroy();
    expect(await connection.exited).toEqual({ code: null, signal: 'SIGKILL' });
  });

  test('close() ends running commands', async () => {
    const own = localCommands();
    const connection = await own.start('sleep', ['100']);
    await own.close();
    expect(await connection.exited).toEqual({ code: null, signal: 'SIGTERM' });
  });

  test('output may end before the process does', async () => {
    const connection = await shell('exec >&-; cat >/dev/null');
    expect((await readAll(connection.input)).length).toBe(0);
    connection.output.end();
    expect(await connection.exited).toEqual({ code: 0, signal: null });
  });
});
