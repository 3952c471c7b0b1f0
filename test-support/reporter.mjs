// The suite's reporter in CI: failures in full, each skip with its reason, and in a file (CROMWELL_TEST_COUNTS)
// the counts, so that several runs can be added up, and below them what failed, to be said again at the end.
import { writeFileSync } from 'node:fs'
import { DefaultReporter } from 'vitest/node'

class CountingReporter extends DefaultReporter {
  onTestRunEnd(modules, errors, reason) {
    super.onTestRunEnd(modules, errors, reason)
    const counts = { passed: 0, failed: errors.length, skipped: 0 }
    const failures = errors.map((error) => failure('outside of a test', error))
    for (const module of modules) {
      if (module.errors().length > 0) counts.failed += 1
      failures.push(...module.errors().map((error) => failure(module.moduleId, error)))
      for (const test of module.children.allTests()) {
        const { state, note, errors: found } = test.result()
        counts[state] += 1
        if (state === 'failed') failures.push(failure(test.fullName, found?.[0]))
        if (state === 'skipped')
          console.log(`skipped: ${test.fullName}: ${note ?? 'no reason given'}`)
      }
    }
    const file = process.env.CROMWELL_TEST_COUNTS
    if (file)
      writeFileSync(
        file,
        `${counts.passed} ${counts.failed} ${counts.skipped}\n${failures.join('')}`,
      )
  }
}

function failure(where, error) {
  const place = error?.stacks?.[0]
  return `FAIL  ${where}${place ? ` (${place.file}:${place.line})` : ''}: ${error?.message ?? 'no reason given'}\n`
}

export default CountingReporter
