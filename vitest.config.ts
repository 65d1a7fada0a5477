import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    // Tests of workers, the command line and the package run what tsc wrote.
    globalSetup: ['test/build-output.ts'],
    setupFiles: ['test/own-temporary.ts'],
    // Real runs, servers and child processes: seconds, not milliseconds, on a busy machine of two cores.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    pool: 'forks',
    // Most tests wait for processes and files half of the time.
    maxWorkers: 2,
  },
})
