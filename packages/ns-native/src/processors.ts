import { readFileSync } from 'node:fs'

/** The processors that this process may run on. */
export function allowedProcessors(status = readFileSync('/proc/self/status', 'latin1')): number[] {
  return parseProcessorList(/^Cpus_allowed_list:\s*(.*)$/m.exec(status)?.[1] ?? '0')
}

/** A list such as `0-3,8`: cpuset(7), "List format". */
export function parseProcessorList(text: string): number[] {
  return text.split(',').flatMap((part) => {
    const [first = 0, last = first] = part.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, index) => first + index)
  })
}
