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
  alias: { clipanion: 'clipanion/lib/advanced/index.mjs' }, // the build of it that can be taken apart
  banner: { js: `const bundleUrl = require('node:url').pathToFileURL(__filename).href;` },
  define: {
    CROMWELL_VERSION: JSON.stringify(version),
    'import.meta.url': 'bundleUrl',
    'import.meta.dirname': '__dirname',
    'import.meta.filename': '__filename',
    // A stream makes its open file description non-blocking, which the contained process shares with us:
    // nothing in this file may open one.
    'process.stdin': 'undefined',
    'process.stdout': 'undefined',
    'process.stderr': 'undefined',
  },
  plugins: [registryOnDemand(), builtinsOnDemand()],
  // clipanion's optional validators, which no command here uses
  external: ['typanion'],
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

/**
 * Modules of Node that take it a millisecond or more to load are loaded when something of them is first
 * used, not when a file that imports them is: `ps` uses none of these, and `run` few.
 */
function builtinsOnDemand() {
  const filter = /^(?:node:)?(child_process|crypto|fs\/promises|net|readline|stream|tty|zlib)$/
  return {
    name: 'builtins-on-demand',
    setup({ onResolve, onLoad }) {
      onResolve({ filter }, ({ path, namespace }) =>
        namespace === 'on-demand'
          ? { path, external: true }
          : { path: path.replace(/^(node:)?/, 'node:'), namespace: 'on-demand' },
      )
      onLoad({ filter: /./, namespace: 'on-demand' }, ({ path }) => ({
        contents: Object.keys(process.getBuiltinModule(path))
          .map(
            (name) =>
              `Object.defineProperty(exports, '${name}', { enumerable: true, get: () => require('${path}').${name} })`,
          )
          .join('\n'),
      }))
    },
  }
}
