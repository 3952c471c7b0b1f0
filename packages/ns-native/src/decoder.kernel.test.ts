import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { requires } from '@cromwell/test-support'
import { expect, test } from 'vitest'

const script = fileURLToPath(new URL('../scripts/fuzz.mjs', import.meta.url))

// In CI the same is done by libFuzzer for longer: scripts/fuzz.mjs.
test('the helper’s decoders survive messages cut short and changed, under AddressSanitizer and UBSan', (context) => {
  requires(context, 'asan', hasSanitizers(), 'cc has no -fsanitize=address,undefined')
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, '--changes', '300'], {
    encoding: 'utf8',
  })
  expect(stderr).toBe('')
  expect(stdout).toMatch(/^\d+ inputs, 300 changes of each/)
  expect(status).toBe(0)
}, 120_000)

function hasSanitizers(): boolean {
  const flags = ['-fsanitize=address,undefined', '-x', 'c', '-o', '/dev/null', '-']
  return spawnSync('cc', flags, { input: 'int main(void) { return 0; }' }).status === 0
}
