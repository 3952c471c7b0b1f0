import { defineConfig } from 'vitest/config'

// Three kinds of tests: unit (need nothing), kernel (need user namespaces), e2e (the built command line).
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          setupFiles: ['test-support/property-seed.mjs'],
          include: ['packages/*/src/**/*.test.ts', 'test-support/src/**/*.test.ts', '*.test.ts'],
          exclude: ['**/*.kernel.test.ts'],
          testTimeout: 30_000,
          retry: process.env['CI'] ? 1 : 0,
        },
      },
      {
        test: {
          name: 'kernel',
          setupFiles: ['test-support/property-seed.mjs'],
          include: ['packages/*/src/**/*.kernel.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          // processes that race on a busy machine; vitest says which needed it
          retry: process.env['CI'] ? 1 : 0,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['e2e/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
})
