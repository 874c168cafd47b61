// Goal: everything can be restored from a login that allows only SFTP.
import * as fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningSshd, startSshd } from '../support/sshd.ts';
import { type Bench, ecsync, initVault, makeBench, type CliResult } from './support/cli.ts';
import { differences } from './support/compare.ts';
import { makeHardTree } from './support/hard-tree.ts';

let bench: Bench;
let sshd: RunningSshd;
beforeAll(async () => {
  bench = await makeBench();
  makeHardTree(bench.source);
  await initVault(bench);
  const passfile = ['--passfile', bench.passfile];
  const pushed = await ecsync(['push', '-H', '-C', bench.source, ...passfile, bench.copy]);
  expect(pushed).toMatchObject({ code: 0, stderr: '' });
  sshd = await startSshd({ configLines: ['ForceCommand internal-sftp'] });
});
afterAll(async () => {
  await sshd.stop();
  await bench.remove();
});

function from(command: string, ...words: readonly string[]): Promise<CliResult> {
  const url = `ssh://${sshd.user}@127.0.0.1:${sshd.port}${bench.copy}`;
  const all = [command, '--from', url, '--passfile', bench.passfile, ...words];
  return ecsync(all, { env: { HOME: sshd.home }, cwd: bench.dir });
}

test('restore reads over SFTP if the login cannot run commands', async () => {
  const target = path.join(bench.dir, 'back');
  const restored = await from('restore', '--to', target, '--perms', '--special-modes');
  expect(restored).toMatchObject({ code: 0 });
  // SFTP has whole seconds, and no hard links.
  const options = { ignore: ['.ecsync'], nanoseconds: false };
  expect(differences(bench.source, target, options)).toEqual([]);
  const again = await from('restore', '--to', target, '--perms', '--special-modes', '-i');
  expect(again).toMatchObject({ code: 0, stdout: '' });
});

test('selected paths can be restored', async () => {
  const [first] = fs.readdirSync(bench.source).filter((name) => name.startsWith('sizes'));
  const target = path.join(bench.dir, 'part');
  const restored = await from('restore', `/${first ?? ''}`, '--to', target);
  expect(restored).toMatchObject({ code: 0, stderr: '' });
  const source = path.join(bench.source, first ?? '');
  const found = differences(source, path.join(target, first ?? ''), { nanoseconds: false });
  expect(found.filter((line) => !/: mode /.test(line))).toEqual([]);
});

test('extended attributes are not available over SFTP, which is reported once', async () => {
  const [first = ''] = fs.readdirSync(bench.source).filter((name) => name.startsWith('sizes'));
  const target = path.join(bench.dir, 'attributes');
  const restored = await from('restore', '-X', `/${first}`, '--to', target);
  expect(restored).toMatchObject({ code: 23 });
  expect(restored.stderr.match(/which has no extended attributes: none is restored/g)).toHaveLength(
    1,
  );
  expect(fs.existsSync(path.join(target, first))).toBe(true);
});

test('a clone reports that it needs rsync, since it will be pushed to', async () => {
  const cloned = await ecsync(
    [
      'clone',
      `ssh://${sshd.user}@127.0.0.1:${sshd.port}${bench.copy}`,
      path.join(bench.dir, 'clone'),
      ...['--passfile', bench.passfile],
    ],
    { env: { HOME: sshd.home } },
  );
  expect(cloned.code).toBe(5);
  expect(cloned.stderr).toContain('runs no commands');
});

/** An sftp-server that lists the root of the copy for every folder below it. */
const FOLDER_IN_ITSELF = `
import os, struct, subprocess, sys
top = sys.argv[1].encode()
server = subprocess.Popen(['/usr/lib/openssh/sftp-server'], stdin=subprocess.PIPE)
def read(n):
    data = b''
    while len(data) < n:
        part = os.read(0, n - len(data))
        if not part:
            server.stdin.close()
            sys.exit(server.wait())
        data += part
    return data
while True:
    packet = read(struct.unpack('>I', read(4))[0])
    if packet[0] == 11 and packet[9:].startswith(top + b'/'):
        packet = packet[:5] + struct.pack('>I', len(top)) + top
    server.stdin.write(struct.pack('>I', len(packet)) + packet)
    server.stdin.flush()
`;

test('a copy that contains itself ends the restore soon, with an explanation', async () => {
  const copy = path.join(bench.dir, 'loop');
  const source = path.join(bench.dir, 'loop-source');
  for (const name of ['one', 'two']) fs.mkdirSync(path.join(source, name), { recursive: true });
  const passfile = ['--passfile', bench.passfile];
  expect(await ecsync(['init', source, '--scryptn', '10', ...passfile])).toMatchObject({ code: 0 });
  expect(await ecsync(['push', '-C', source, ...passfile, copy])).toMatchObject({ code: 0 });
  const wrapper = path.join(bench.dir, 'wrapper.py');
  fs.writeFileSync(wrapper, FOLDER_IN_ITSELF);
  const hostile = await startSshd({
    configLines: [
      `ForceCommand case "$SSH_ORIGINAL_COMMAND" in *sftp) exec python3 ${wrapper} ${copy};; esac; exit 1`,
    ],
  });
  try {
    const url = `ssh://${hostile.user}@127.0.0.1:${hostile.port}${copy}`;
    const words = ['restore', '--from', url, '--to', path.join(bench.dir, 'loop-back')];
    const env = { HOME: hostile.home };
    const restored = await ecsync([...words, ...passfile], { env, cwd: bench.dir });
    expect(restored.code).toBe(5);
    expect(restored.stderr).toContain('more than 100 paths at the remote are too long');
    expect(restored.stderr).toContain('it seems to contain itself');
  } finally {
    await hostile.stop();
  }
});
