import type { RolldownOptions } from 'rolldown';

/**
 * Bundles the command line: Node starts a few files 50 ms sooner than two hundred. What a command needs
 * only sometimes stays in files of its own. Types are not checked here: that is what tsc is for.
 */
export default {
  input: {
    ecsync: 'src/cli/main.ts',
    'encryption-worker': 'src/view/encrypt/encryption-worker.ts',
    'decryption-worker': 'src/view/decrypt/decryption-worker.ts',
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
} satisfies RolldownOptions;
