#!/usr/bin/env node
import '../dist/testing/main.js'
