import { createPrivateKey, randomUUID, sign } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Certificate, makeCertificate } from '../testing/certificate.ts'

/** A token service for docker-registry, of one user. Source: distribution, docs/spec/auth/jwt.md. */
export interface TokenService {
  realm: string
  /** What the registry is to believe. */
  cert: string
  /** The scopes that were asked for, a list for each token. */
  asked: string[][]
  stop(): Promise<void>
}

/** Start one that lets the user with this password do everything, but not with the repositories in `hidden`. */
export async function startTokenService(
  user: { name: string; password: string },
  hidden: string[] = [],
): Promise<TokenService> {
  const certificate = makeCertificate()
  const asked: string[][] = []
  const server = createServer((request, response) => {
    const { searchParams } = new URL(request.url ?? '/', 'http://token')
    const basic = Buffer.from(`${user.name}:${user.password}`).toString('base64')
    if (request.headers.authorization !== `Basic ${basic}`) {
      response.writeHead(401).end()
      return
    }
    const scopes = searchParams.getAll('scope').flatMap((scope) => scope.split(' '))
    asked.push(scopes)
    const access = scopes.map(accessOf).filter(({ name }) => !hidden.includes(name))
    const token = signToken({ sub: user.name, access }, certificate)
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ token, expires_in: 300 }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // A server that listens on TCP has an address of this form.
  const { port } = server.address() as AddressInfo
  return {
    realm: `http://127.0.0.1:${port}/token`,
    cert: certificate.cert,
    asked,
    stop: async () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

function accessOf(scope: string): { type: string; name: string; actions: string[] } {
  const [, type = '', name = '', actions = ''] = /^([^:]*):(.*):([^:]*)$/.exec(scope) ?? []
  return { type, name, actions: actions.split(',') }
}

function signToken(claims: object, { cert, key }: Certificate): string {
  const now = Math.floor(Date.now() / 1000)
  const der = cert.replace(/-----[^-]+-----|\s/g, '')
  const header = { typ: 'JWT', alg: 'ES256', x5c: [der] }
  const times = { iat: now, nbf: now - 60, exp: now + 300 }
  const body = { iss: 'test', aud: 'test', jti: randomUUID(), ...times, ...claims }
  const text = [header, body]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
  const options = { key: createPrivateKey(key), dsaEncoding: 'ieee-p1363' } as const
  return `${text}.${sign('sha256', Buffer.from(text), options).toString('base64url')}`
}
