// Times commands side by side: in each round every command once, in a new random order, so that a drift of
// the machine's speed hits them all. Medians are to be quoted, minima show the floor.
import { spawnSync } from 'node:child_process'

/**
 * @param {Record<string, string[]>} commands title → argv
 * @param {{ rounds: number, env?: NodeJS.ProcessEnv }} options one more round comes first and does not count
 * @returns {Record<string, number[]>} title → wall-clock milliseconds, sorted
 */
export function interleave(commands, { rounds, env = benchEnvironment() }) {
  const samples = Object.fromEntries(Object.keys(commands).map((title) => [title, []]))
  for (let round = -1; round < rounds; round++) {
    for (const [title, [file, ...args]] of shuffled(Object.entries(commands))) {
      const started = process.hrtime.bigint()
      const { status, stderr, error } = spawnSync(file, args, {
        env,
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      const elapsedMs = Number(process.hrtime.bigint() - started) / 1e6
      if (status !== 0) throw new Error(`${title} failed (${status}): ${error ?? stderr}`)
      if (round >= 0) samples[title].push(elapsedMs)
    }
  }
  for (const values of Object.values(samples)) values.sort((a, b) => a - b)
  return samples
}

/**
 * The same for functions of this process.
 * @template T
 * @param {Record<string, () => Promise<T>>} functions title → what is run once per round
 * @param {{ rounds: number }} options one more round comes first and does not count
 * @returns {Promise<Record<string, T[]>>} title → results, in the order of the rounds
 */
export async function interleaveAsync(functions, { rounds }) {
  const samples = Object.fromEntries(Object.keys(functions).map((title) => [title, []]))
  for (let round = -1; round < rounds; round++) {
    for (const [title, once] of shuffled(Object.entries(functions))) {
      const result = await once()
      if (round >= 0) samples[title].push(result)
    }
  }
  return samples
}

/** The environment without what slows each Node 20 start by 33 ms on machines with an own CA. */
export function benchEnvironment() {
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env
  return env
}

/** A Markdown table of medians and minima. */
export function table(samples) {
  const lines = ['| | median ms | minimum ms |', '|---|---:|---:|']
  for (const [title, values] of Object.entries(samples)) {
    const median = values[Math.floor(values.length / 2)]
    lines.push(`| ${title} | ${median.toFixed(1)} | ${values[0].toFixed(1)} |`)
  }
  return lines.join('\n')
}

function shuffled(list) {
  return list
    .map((value) => ({ value, key: Math.random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ value }) => value)
}
