import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type CromwellHome, createCromwellHome } from './support/cromwell.ts'

let home: CromwellHome
beforeAll(() => {
  home = createCromwellHome()
})
afterAll(() => home.remove())

const isRoot = process.geteuid?.() === 0

it('prints what root would run, and runs nothing', async () => {
  const { status, stdout, stderr } = await home.cromwell(['setup', '--print'])
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(stdout).toMatch(/^install -o root -g root -m 755 \S+cromwell-init /m)
  expect(stdout).toMatch(/^apparmor_parser --replace \/etc\/apparmor\.d\/cromwell-init$/m)
  const removal = await home.cromwell(['setup', '--print', '--uninstall'])
  expect(removal.stdout).toMatch(/^rm -f \/etc\/apparmor\.d\/cromwell-init /m)
})

it('tells a plain user that containers work', async (context) => {
  requires(context, 'plain-user', !isRoot, 'root is told about the machine')
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
  const { status, stdout } = await home.cromwell(['setup'])
  expect(status).toBe(0)
  expect(stdout).toMatch(/^Containers work here: there is nothing to set up\.\n/)
})

it('says exactly what root has to be asked for', async (context) => {
  requires(context, 'plain-user', !isRoot, 'root needs nobody')
  expect(await home.cromwell(['setup', '--uninstall'])).toMatchObject({
    status: 125,
    stdout: '',
    stderr: expect.stringMatching(/^hint: sudo \/\S+node \/\S+cromwell\S* setup --uninstall /m),
  })
})
