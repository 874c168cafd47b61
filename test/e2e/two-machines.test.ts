// Goal: the password is changed on one machine, and a clone on another machine continues to push
// with the old one. The newer conf of the copy stays, the push reports that, and the clone can take
// it over.
import * as fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startSshd, type RunningSshd } from '../support/sshd.ts';
import { ecsync, makeBench, type Bench, type CliResult } from './support/cli.ts';
import { fsck } from './support/stock.ts';

let bench: Bench;
let sshd: RunningSshd;
const at = (name: string): string => path.join(bench.dir, name);

beforeAll(async () => {
  bench = await makeBench();
  fs.writeFileSync(at('new'), 'another password\n', { mode: 0o600 });
  sshd = await startSshd();
});
afterAll(async () => {
  await sshd.stop();
  await bench.remove();
});

describe.each([
  { name: 'a local folder', words: [] as string[], isRemote: false },
  { name: 'a server, names in plaintext', words: ['--plaintextnames'], isRemote: true },
])('$name', ({ name, words, isRemote }) => {
  test('keeps the newer conf', { timeout: 120_000 }, async () => {
    const key = name.replaceAll(/\W/g, '-');
    const [here, there, copy] = [at(`${key}-here`), at(`${key}-there`), at(`${key}-copy`)];
    const remote = isRemote ? `ssh://${sshd.user}@127.0.0.1:${sshd.port}${copy}` : copy;
    const env = { HOME: sshd.home };
    const run = (folder: string, passfile: string, ...rest: string[]): Promise<CliResult> =>
      ecsync([...rest, '-C', folder, '--passfile', passfile], { env });
    const conf = (): Buffer => fs.readFileSync(path.join(copy, 'gocryptfs.conf'));
    fs.mkdirSync(here);
    fs.writeFileSync(path.join(here, 'first'), '1');
    const init = ['init', here, '--scryptn', '10', '--passfile', bench.passfile, ...words];
    await ecsync(init);
    await ecsync(['remote', 'add', 'origin', remote, '-C', here]);
    expect((await run(here, bench.passfile, 'push')).code).toBe(0);
    const clone = ['clone', remote, there, '--passfile', bench.passfile, ...words];
    expect((await ecsync(clone, { env })).code).toBe(0);
    expect((await run(there, bench.passfile, 'push')).code).toBe(0);
    const passwd = ['key', 'passwd', '--new-passfile', at('new')];
    expect((await run(here, bench.passfile, ...passwd)).code).toBe(0);
    expect((await run(here, at('new'), 'push')).code).toBe(0);
    const newer = conf();

    fs.writeFileSync(path.join(there, 'second'), '2');
    for (const command of ['push', 'verify']) {
      const result = await run(there, bench.passfile, command);
      expect(result.code).toBe(0);
      expect(result.stderr).toContain('the newer gocryptfs.conf there stays');
      expect(conf().equals(newer)).toBe(true);
    }
    expect((await run(there, bench.passfile, 'key', 'fetch')).code).toBe(12);
    expect((await run(there, at('new'), 'key', 'fetch')).code).toBe(0);
    const next = await run(there, at('new'), 'push', '--json');
    expect(next.code).toBe(0);
    expect(next.stdout).toContain('"warnings":[]');
    expect((await fsck(copy, at('new'))).code).toBe(0);
  });
});
