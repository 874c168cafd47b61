// Goal: whatever a server calls a file of the copy, people read what it is called in their folder; and what is
// no name of the copy stays as it was said.
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { openLayout } from '../../../../src/gocryptfs/layout.ts';
import { ServerMessages } from '../../../../src/sync/push/job/server-message.ts';
import { PathTranslation } from '../../../../src/view/path-translation.ts';

const FLAGS = ['HKDF', 'GCMIV128', 'DirIV', 'EMENames', 'LongNames', 'Raw64'] as const;
const LONG = 'l'.repeat(200);
const PATHS = [
  'top.txt',
  'sub',
  'sub/a b.txt',
  'sub/deep/b.txt',
  `sub/${LONG}`,
  'sub/no\u00e9.txt',
];
const TEMPORARY = 'gocryptfs.longname.ecsync-tmp.name';

function setUp(
  flags: readonly string[] = FLAGS,
  paths: readonly string[] = PATHS,
): {
  messages: ServerMessages;
  at: (plain: string) => string;
} {
  const conf = { flags: new Set(flags), longNameMax: 255 } as Parameters<typeof openLayout>[0];
  const translation = new PathTranslation(openLayout(conf, randomBytes(32)));
  for (const path of paths) translation.rememberPath(Buffer.from(path));
  const at = (plain: string): string =>
    Buffer.from(translation.cipherPath(Buffer.from(plain))).toString();
  const messages = new ServerMessages({
    tell: (path) => {
      const plain = translation.plainPath(path);
      if (plain === undefined) return { path, plain: false, virtual: false };
      return { path: plain.path, plain: true, virtual: plain.virtual !== undefined };
    },
    paths: () => paths.map((path) => Buffer.from(at(path))),
  });
  return { messages, at };
}

const { messages, at } = setUp();
const lastOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
/** As rsync calls a file while it is written, beside it and in a folder of its own. */
const beside = (path: string): string =>
  `${path.slice(0, path.lastIndexOf('/') + 1)}.${lastOf(path)}.a1B2c3`;
const apart = (path: string): string => `${TEMPORARY}/${lastOf(path)}.Zz9Yy8`;

describe('what a server says of a file', () => {
  const roots = [
    '',
    'copy/',
    './copy/',
    '/srv/copy/',
    '/srv/back up/my copy/',
    `/home/${'u'.repeat(32)}/`,
  ];
  it.each(PATHS.flatMap((path) => roots.map((root) => [path, root] as const)))(
    'names %j in plaintext, below %j',
    (path, root) => {
      const cipher = at(path);
      for (const said of [cipher, beside(cipher), apart(cipher)]) {
        const tell = (text: string): string => messages.inPlaintext(text);
        const start = 'rsync: [receiver] mkstemp';
        expect(tell(`${start} "${root}${said}" failed: Permission denied (13)`)).toBe(
          `${start} "${path}" failed: Permission denied (13)`,
        );
        expect(tell(`write failed on "${root}${said}": No space left on device (28)`)).toBe(
          `write failed on "${path}": No space left on device (28)`,
        );
        expect(tell(`rename "${root}${said}" -> "${cipher}": Permission denied (13)`)).toBe(
          `rename "${path}" -> "${path}": Permission denied (13)`,
        );
        if (root.includes(' ')) continue;
        expect(tell(`WARNING: ${root}${said} failed verification`)).toBe(
          `WARNING: ${path} failed verification`,
        );
      }
    },
  );

  it('names what has no plaintext', () => {
    const name = `${at(`sub/${LONG}`)}.name`;
    for (const [said, told] of [
      [`${at('sub')}/gocryptfs.diriv`, 'the key file of sub'],
      [`${at('sub')}/.gocryptfs.diriv.a1B2c3`, 'the key file of sub'],
      [`${TEMPORARY}/gocryptfs.diriv.a1B2c3`, 'the key file of a folder'],
      [name, 'the .name file of sub'],
      [beside(name), 'the .name file of sub'],
      [TEMPORARY, 'the folder for temporary files'],
    ] as const) {
      expect(messages.inPlaintext(`mkdir "/srv/copy/${said}" failed`)).toBe(`mkdir ${told} failed`);
    }
  });

  it('leaves alone what it does not know', () => {
    const other = setUp();
    for (const text of [
      `mkstemp "/srv/${other.at('sub/deep/b.txt')}" failed`,
      `mkstemp "/srv/copy/${apart(other.at('top.txt'))}" failed`,
      'cannot open "/srv/copy/gocryptfs.conf": Permission denied',
      `@ERROR: ${'x'.repeat(5000)} ${'/'.repeat(3000)}`,
      'rsync error: error in file IO (code 11) at receiver.c(871) [receiver=3.5.0]',
    ]) {
      expect(messages.inPlaintext(text)).toBe(text);
    }
  });

  it('tells the name alone where one name may be in several folders', () => {
    const deterministic = FLAGS.filter((flag) => flag !== 'DirIV');
    const same = setUp(deterministic, ['sub', 'sub/one', 'other', 'other/one', 'other/two']);
    const tell = (path: string): string => same.messages.inPlaintext(`"${apart(same.at(path))}"`);
    expect([tell('sub/one'), tell('other/two')]).toEqual(['"one"', '"other/two"']);
  });
});
