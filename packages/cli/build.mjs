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
  // it brings undici, and only a pull needs it; programs of their own cannot be inside either
  external: ['@cromwell/registry', '@cromwell/engine/unpack-worker'],
  plugins: [clipanionWithoutTerminal()],
})

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
