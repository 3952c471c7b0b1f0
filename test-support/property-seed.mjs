// Properties are tried with other values on each run, except in CI: there a run must say the same twice.
import { configureGlobal } from 'fast-check'

if (process.env.CI) configureGlobal({ seed: 20261123 })
