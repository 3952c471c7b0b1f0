// One CommonJS file out of src/ and of the packages below: Node starts it in half the time of many modules.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'

const directory = import.meta.dirname
const { version } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'))

await build({
  absWorkingDir: directory,
  entryPoints: ['src/main.ts'],
  outfile: 'dist/cromwell.cjs',
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  format: 'cjs',
  legalComments: 'none',
  logLevel: 'warning',
  banner: { js: `const bundleUrl = require('node:url').pathToFileURL(__filename).href;` },
  define: {
    CROMWELL_VERSION: JSON.stringify(version),
    'import.meta.url': 'bundleUrl',
    'import.meta.dirname': '__dirname',
    'import.meta.filename': '__filename',
    // clipanion asks for all three streams as it is loaded. A stream makes its open file description
    // non-blocking, which the contained process shares with us: nothing in this file may open one.
    'process.stdin': 'undefined',
    'process.stdout': 'undefined',
    'process.stderr': 'undefined',
  },
  plugins: [registryOnDemand(), clipanionWithoutTerminal()],
})

/** The registry client brings undici, and only a pull needs it. What else is in that package is inlined. */
function registryOnDemand() {
  return {
    name: 'registry-on-demand',
    setup({ onResolve }) {
      onResolve({ filter: /^@cromwell\/registry$/ }, ({ kind, importer }) => {
        if (kind === 'dynamic-import') return { external: true }
        return { errors: [{ text: `${importer} would load the registry client at each start` }] }
      })
    },
  }
}

/** clipanion's own platform file for browsers: without it, each start would load `node:tty` to look for colours. */
function clipanionWithoutTerminal() {
  return {
    name: 'clipanion-without-terminal',
    setup({ onResolve }) {
      onResolve({ filter: /^\.\.\/platform$/ }, ({ resolveDir }) => ({
        path: join(resolveDir, '..', 'platform', 'browser.mjs'),
      }))
    },
  }
}
