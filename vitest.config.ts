import { defineConfig } from 'vitest/config';

const common = {
  testTimeout: 60_000,
  hookTimeout: 120_000,
  pool: 'forks' as const,
  setupFiles: ['test/support/byte-equality.ts'],
};

export default defineConfig({
  test: {
    // Two processors: some tests wait, for servers, clocks and disks.
    maxWorkers: 3,
    projects: [
      {
        test: {
          ...common,
          name: 'unit',
          // Loading the sources anew for each file would take as long as most of the tests.
          isolate: false,
          include: ['test/**/*.test.ts'],
          exclude: ['test/e2e/**'],
          globalSetup: ['test/e2e/support/build-cli.ts'],
        },
      },
      {
        test: {
          ...common,
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          globalSetup: ['test/e2e/support/build-cli.ts'],
        },
      },
    ],
  },
});
