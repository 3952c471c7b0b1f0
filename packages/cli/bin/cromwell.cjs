#!/usr/bin/env node
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
