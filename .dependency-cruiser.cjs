/** The arrows between the rooms of ARCHITECTURE.md as a failing build. */
const ROOMS = require('./scripts/rooms.cjs');

const escaped = (path) => path.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** `tree/*` is tree and every room in it; anything else is the files of one room. */
const filesOf = (room) =>
  room.endsWith('/*') ? `${escaped(room.slice(0, -1))}.+` : `${escaped(room)}/[^/]+`;

const roomRule = ([room, allowed]) => ({
  name: `room-${room.replaceAll('/', '-')}`,
  comment: `src/${room}/ may import: ${allowed === '' ? 'no other room' : allowed}`,
  severity: 'error',
  from: { path: `^src/${filesOf(room)}$` },
  to: {
    path: '^src/',
    pathNot: ['[^/]+', ...[room, ...allowed.split(' ').filter(Boolean)].map(filesOf)].map(
      (files) => `^src/${files}$`,
    ),
  },
});

const only = (name, modules, allowed) => ({
  name,
  severity: 'error',
  from: { path: '^src/', pathNot: allowed },
  to: { path: modules },
});

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'nobody-imports-the-public-face',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^src/index\\.ts$' },
    },
    {
      name: 'the-ground-imports-no-room',
      severity: 'error',
      from: { path: '^src/(errors|platform|programs)\\.ts$' },
      to: { path: '^src/.+/' },
    },
    ...Object.entries(ROOMS).map(roomRule),
    only('ssh2-only-in-transport', 'node_modules/ssh2/', '^src/transport/ssh/'),
    only('commander-only-in-cli', 'node_modules/(commander|@clack)/', '^src/cli/'),
    only('hash-wasm-only-in-rsync', 'node_modules/hash-wasm/', '^src/rsync/wire/'),
    only('noble-only-in-gocryptfs', 'node_modules/@noble/', '^src/gocryptfs/cipher/'),
    only(
      'fs-only-where-files-are-touched',
      '^(node:)?fs(/promises)?$',
      '^src/((tree|transport|vault|cli)/|(programs|library/version)\\.ts$)',
    ),
    only('processes-only-in-transport', '^(node:)?child_process$', '^src/(transport|cli|vault)/'),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'types'],
    },
  },
};
