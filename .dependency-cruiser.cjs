/**
 * The arrows of ARCHITECTURE.md as a failing build:
 * cli → sync → {view, rsync, transport, vault} → {gocryptfs, tree} → {bytes, errors, platform}; cli → schedule → errors.
 */
const ABOVE = {
  'errors.ts':
    'platform\\.ts|programs\\.ts|bytes|gocryptfs|tree|view|rsync|transport|vault|sync|schedule|cli',
  'platform.ts':
    'programs\\.ts|errors\\.ts|bytes|gocryptfs|tree|view|rsync|transport|vault|sync|schedule|cli',
  'programs.ts': 'errors\\.ts|bytes|gocryptfs|tree|view|rsync|transport|vault|sync|schedule|cli',
  bytes: 'gocryptfs|tree|view|rsync|transport|vault|sync|schedule|cli',
  gocryptfs: 'tree|view|rsync|transport|vault|sync|schedule|cli',
  tree: 'gocryptfs|view|rsync|transport|vault|sync|schedule|cli',
  view: 'rsync|transport|vault|sync|schedule|cli',
  rsync: 'gocryptfs|view|transport|vault|sync|schedule|cli',
  transport: 'gocryptfs|tree|view|rsync|vault|sync|schedule|cli',
  vault: 'tree|view|rsync|transport|sync|schedule|cli',
  sync: 'schedule|cli',
  schedule: 'bytes|gocryptfs|tree|view|rsync|transport|vault|sync|cli',
};

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
    ...Object.entries(ABOVE).map(([from, to]) => ({
      name: `${from}-points-down`,
      severity: 'error',
      from: { path: `^src/${from.replace('.', '\\.')}` },
      to: { path: `^src/(${to})(/|$)` },
    })),
    only('ssh2-only-in-transport', 'node_modules/ssh2/', '^src/transport/'),
    only('commander-only-in-cli', 'node_modules/(commander|@clack)/', '^src/cli/'),
    only('hash-wasm-only-in-rsync', 'node_modules/hash-wasm/', '^src/rsync/'),
    only('noble-only-in-gocryptfs', 'node_modules/@noble/', '^src/gocryptfs/'),
    only(
      'fs-only-where-files-are-touched',
      '^(node:)?fs(/promises)?$',
      '^src/((tree|transport|vault|cli)/|programs\\.ts$)',
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
