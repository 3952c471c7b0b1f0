import type { Facility } from '../facility.ts'
import { findProgram } from '../host-files.ts'

const PACKAGES = { pasta: 'passt', slirp4netns: 'slirp4netns' } as const

/** Programs that give a sandbox a network without root; none is needed but by who asks for it. */
export function networkPrograms(find = findProgram): Facility[] {
  return (['pasta', 'slirp4netns'] as const).map((name) => {
    const path = find(name)
    if (path !== undefined) return { name, ok: true, detail: path }
    const fix = `apt-get install ${PACKAGES[name]}`
    return { name, ok: false, why: `there is no program ${name}`, fix }
  })
}
