import type { CliCommandClass } from './command.ts'

/** A verb of the command line; its class is only loaded when it is used. */
export interface Verb {
  name: string
  description: string
  load(): Promise<CliCommandClass>
}

/** All verbs, in the order of the help text. */
export const VERBS: readonly Verb[] = [
  {
    name: 'run',
    description: 'Run a command in a new container',
    load: async () => (await import('./commands/run.ts')).RunCommand,
  },
  {
    name: 'pull',
    description: 'Download an image from a registry',
    load: async () => (await import('./commands/pull.ts')).PullCommand,
  },
  {
    name: 'push',
    description: 'Upload an image to a registry',
    load: async () => (await import('./commands/push.ts')).PushCommand,
  },
  {
    name: 'tag',
    description: 'Give an image another name',
    load: async () => (await import('./commands/tag.ts')).TagCommand,
  },
  {
    name: 'login',
    description: 'Log in to a registry',
    load: async () => (await import('./commands/login.ts')).LoginCommand,
  },
  {
    name: 'logout',
    description: 'Log out from a registry',
    load: async () => (await import('./commands/logout.ts')).LogoutCommand,
  },
  {
    name: 'ps',
    description: 'List containers',
    load: async () => (await import('./commands/ps.ts')).PsCommand,
  },
  {
    name: 'logs',
    description: 'Print what a container has written',
    load: async () => (await import('./commands/logs.ts')).LogsCommand,
  },
  {
    name: 'stop',
    description: 'Stop containers',
    load: async () => (await import('./commands/stop.ts')).StopCommand,
  },
  {
    name: 'rm',
    description: 'Remove containers',
    load: async () => (await import('./commands/rm.ts')).RmCommand,
  },
  {
    name: 'setup',
    description: 'Prepare this machine where AppArmor restricts user namespaces',
    load: async () => (await import('./commands/setup.ts')).SetupCommand,
  },
]
