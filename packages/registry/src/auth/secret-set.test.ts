import { expect, test } from 'vitest'
import { maskSecrets } from '../redact.ts'
import { encodeBasic } from './credentials.ts'
import { createSecretSet } from './secret-set.ts'

const secret = 'pass "w0rd" ü/+&='

test.each([
  ['as it is', secret],
  ['in a URL', encodeURI(secret)],
  ['in a part of a URL', encodeURIComponent(secret)],
  ['in a form', `${new URLSearchParams({ secret })}`.slice('secret='.length)],
  ['in JSON', JSON.stringify(secret).slice(1, -1)],
  ['in a header', encodeBasic('ann', secret)],
  ['in a URL, as from a header', encodeURIComponent(encodeBasic('ann', secret))],
])('a password is known %s', (_, text) => {
  const secrets = createSecretSet()
  secrets.addCredentials({ type: 'password', username: 'ann', password: secret })
  expect(maskSecrets(`before ${text} after`, secrets)).toBe('before *** after')
})

test('the newest of very many secrets are kept, and the longest is masked first', () => {
  const secrets = createSecretSet()
  for (let number = 0; number < 5000; number++) secrets.addToken(`token-${number}`)
  const kept = [...secrets]
  expect(kept.length).toBeLessThanOrEqual(1000)
  expect(kept).toContain('token-4999')
  expect(maskSecrets('token-4999', secrets)).toBe('***')
  secrets.addToken('token-4999-and-more')
  expect(maskSecrets('token-4999-and-more', secrets)).toBe('***')
})
