/**
 * Bundles the compiled command line: Node starts a few files 50 ms sooner than two hundred. What a
 * command needs only sometimes stays in files of its own. Run in the folder that holds `dist/`.
 */
export default {
  input: {
    ecsync: 'dist/cli/main.js',
    'encryption-worker': 'dist/view/encryption-worker.js',
    'decryption-worker': 'dist/view/decryption-worker.js',
  },
  platform: 'node',
  logLevel: 'warn',
  // ssh2 looks for an optional native part beside its own files.
  external: ['ssh2'],
  output: {
    dir: 'dist/bin',
    cleanDir: true,
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: '[name].js',
  },
};
