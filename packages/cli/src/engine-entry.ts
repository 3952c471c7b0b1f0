// What the command line uses of the engine, by name: the bundler leaves out what only others use.
export { createEngine, readHostFacts } from '@cromwell/engine'
