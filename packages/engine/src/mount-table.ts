import { readFileSync } from 'node:fs'

/** Where something is mounted strictly below `directory`, as `/proc/self/mountinfo` has it. */
export function mountPointsBelow(
  directory: string,
  mountinfo = readFileSync('/proc/self/mountinfo', 'utf8'),
): string[] {
  const prefix = directory === '/' ? '/' : `${directory}/`
  const points = mountinfo.split('\n').flatMap((line) => {
    const point = line.split(' ')[4]
    return point === undefined ? [] : [unescapeOctal(point)]
  })
  return [...new Set(points)].filter((point) => point !== '/' && point.startsWith(prefix))
}

/** The kernel writes blanks and backslashes in paths as `\040` and the like (proc_pid_mountinfo(5)). */
function unescapeOctal(text: string): string {
  const bytes = text.replace(/\\([0-7]{3})/g, (_all, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )
  return bytes === text ? text : Buffer.from(bytes, 'latin1').toString()
}
