// The suite's reporter in CI: failures in full, each skip with its reason, and the counts in a file
// (CROMWELL_TEST_COUNTS) so that several runs can be added up.
import { writeFileSync } from 'node:fs'
import { DefaultReporter } from 'vitest/node'

class CountingReporter extends DefaultReporter {
  onTestRunEnd(modules, errors, reason) {
    super.onTestRunEnd(modules, errors, reason)
    const counts = { passed: 0, failed: errors.length, skipped: 0 }
    for (const module of modules) {
      if (module.errors().length > 0) counts.failed += 1
      for (const test of module.children.allTests()) {
        const { state, note } = test.result()
        counts[state] += 1
        if (state === 'skipped')
          console.log(`skipped: ${test.fullName}: ${note ?? 'no reason given'}`)
      }
    }
    const file = process.env.CROMWELL_TEST_COUNTS
    if (file) writeFileSync(file, `${counts.passed} ${counts.failed} ${counts.skipped}\n`)
  }
}

export default CountingReporter
