import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { maskSecrets, redactText, redactUrl } from './redact.ts'

describe('redactUrl', () => {
  it.each([
    ['https://u:p@host.example/v2/', 'https://host.example/v2/'],
    [
      'https://host.example/t?service=s&scope=a:b:pull',
      'https://host.example/t?service=s&scope=a:b:pull',
    ],
    [
      'https://s3.example/x?X-Amz-Signature=abc&n=1#frag',
      'https://s3.example/x?X-Amz-Signature=***&n=1',
    ],
    ['https://s3.example/x?sig=1&sig=2', 'https://s3.example/x?sig=***'],
    ['no url //u:p@host/x?token=abc', 'no url //host/x'],
  ])('turns %s into %s', (url, redacted) => {
    expect(redactUrl(url)).toBe(redacted)
  })
})

describe('redactText', () => {
  it('removes authorization values and what is secret in URLs', () => {
    const text =
      'sent Authorization: Bearer abc.def-ghi= and Basic dTpw to https://u:p@h.example/?sig=x'
    expect(redactText(text)).toBe(
      'sent Authorization: Bearer *** and Basic *** to https://h.example/?sig=***',
    )
  })

  it('leaves the punctuation after a URL where it is', () => {
    expect(redactText('from https://h.example/?sig=x, and ftp://u:p@h.example/a.')).toBe(
      'from https://h.example/?sig=***, and ftp://h.example/a.',
    )
  })

  it('leaves other text alone', () => {
    const text = 'cannot reach host.example: name cannot be resolved'
    expect(redactText(text)).toBe(text)
  })
})

describe('maskSecrets', () => {
  it('removes every secret wherever it stands', () => {
    const secrets = fc.array(
      fc.string({ minLength: 4, maxLength: 12 }).filter((s) => !s.includes('*')),
    )
    fc.assert(
      fc.property(secrets, fc.string(), (list, glue) => {
        const masked = maskSecrets(
          list.join(glue),
          [...list].sort((a, b) => b.length - a.length),
        )
        for (const secret of list) expect(masked.includes(secret)).toBe(false)
      }),
    )
  })
})
