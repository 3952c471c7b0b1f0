import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryDirectory } from './container.test.fixture.ts'
import { DEFAULT_MASKED_PATHS } from './defaults.ts'
import { defaultMaskedPaths } from './masked-paths.ts'

test('each processor’s thermal_throttle is masked besides the fixed paths, where there are any', () => {
  const cpus = temporaryDirectory()
  for (const name of ['cpu0', 'cpu1', 'cpu10', 'cpufreq', 'cpuidle']) mkdirSync(join(cpus, name))
  expect(defaultMaskedPaths(cpus)).toEqual([...DEFAULT_MASKED_PATHS])
  mkdirSync(join(cpus, 'cpu0', 'thermal_throttle'))
  const more = defaultMaskedPaths(cpus).slice(DEFAULT_MASKED_PATHS.length)
  expect(more.sort()).toEqual([
    '/sys/devices/system/cpu/cpu0/thermal_throttle',
    '/sys/devices/system/cpu/cpu1/thermal_throttle',
    '/sys/devices/system/cpu/cpu10/thermal_throttle',
  ])
})

test('a host without processors to list masks the fixed paths', () => {
  expect(defaultMaskedPaths('/no/such/directory')).toEqual([...DEFAULT_MASKED_PATHS])
})
