#!/usr/bin/env sh
':' //; exec node -- "$0" "$@"
// Without the -- of the line above, node takes an --env-file among our arguments for its own: it stops
// when there is no such file, and obeys a NODE_OPTIONS in it.
'use strict'
const { statSync } = require('node:fs')
const { enableCompileCache } = require('node:module')
const { homedir } = require('node:os')
const { join } = require('node:path')

if (enableCompileCache) {
  const home = process.env.CROMWELL_HOME || join(homedir(), '.cromwell')
  // what is cached is run: only in a home of our own. Node's default is below /tmp, where others write, too
  if (statSync(home, { throwIfNoEntry: false })?.uid === process.geteuid?.()) {
    enableCompileCache(join(home, 'cache', 'node'))
  }
}
require('../dist/cromwell.cjs')
