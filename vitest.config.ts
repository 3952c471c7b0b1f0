import { defineConfig } from 'vitest/config'

// Four kinds of tests: unit (need nothing), kernel (need user namespaces), e2e (the built command line), and
// long (tables that take minutes and are the same for every user).
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          setupFiles: ['test-support/property-seed.mjs'],
          include: ['packages/*/src/**/*.test.ts', 'test-support/src/**/*.test.ts', '*.test.ts'],
          exclude: ['**/*.{kernel,long}.test.ts'],
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'kernel',
          setupFiles: ['test-support/property-seed.mjs'],
          include: ['packages/*/src/**/*.kernel.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'long',
          setupFiles: ['test-support/property-seed.mjs'],
          include: ['packages/*/src/**/*.long.test.ts'],
          testTimeout: 600_000,
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
