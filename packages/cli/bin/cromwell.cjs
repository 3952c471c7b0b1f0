#!/usr/bin/env node
'use strict'
const { enableCompileCache } = require('node:module')
const { homedir } = require('node:os')
const { join } = require('node:path')

// Not Node's default directory for it: that is below /tmp, where another user may have left a cache for us.
enableCompileCache?.(
  join(process.env.CROMWELL_HOME || join(homedir(), '.cromwell'), 'cache', 'node'),
)
require('../dist/cromwell.cjs')
