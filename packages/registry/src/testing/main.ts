import { parseCommandLine, USAGE, UsageError } from './command-line.ts'
import { createTestRegistry } from './test-registry.ts'

// The program `cromwell-test-registry`: the one file here that owns a process.

const STATUS_FAILED = 1
const STATUS_USAGE = 2

try {
  await main(process.argv.slice(2))
} catch (error) {
  const message = error instanceof Error ? error.message : String(error)
  process.stderr.write(`cromwell-test-registry: ${message}\n`)
  if (error instanceof UsageError) process.stderr.write(`\n${USAGE}`)
  process.exitCode = error instanceof UsageError ? STATUS_USAGE : STATUS_FAILED
}

async function main(args: string[]): Promise<void> {
  const options = parseCommandLine(args)
  if (options === 'help') return void process.stdout.write(USAGE)
  const registry = await createTestRegistry(options)
  const end = () => {
    process.off('SIGTERM', end)
    process.off('SIGINT', end)
    void registry.close()
  }
  process.on('SIGTERM', end)
  process.on('SIGINT', end)
  process.stdout.write(`listening on ${registry.origin}\n`)
}
