import { describe, expect, it } from 'vitest'
import type { LayerProgress } from './layer-progress.ts'
import { layerLine, progressLines } from './progress-bar.ts'

function layer(fields: Partial<LayerProgress> = {}): LayerProgress {
  return {
    label: 'c926b61bad3b',
    status: 'Downloading',
    done: 1_200_000,
    size: 3_400_000,
    startedAt: 0,
    offset: 0,
    ...fields,
  }
}

describe('layerLine', () => {
  it('draws a bar of 50 where there is room', () => {
    expect(layerLine(layer(), 120, 0)).toBe(
      'c926b61bad3b: Downloading [=================>                                ]    1.2MB/3.4MB',
    )
  })

  it('draws a shorter bar on a terminal of 80', () => {
    expect(layerLine(layer(), 80, 0)).toBe(
      'c926b61bad3b: Downloading [=========>                ]    1.2MB/3.4MB',
    )
  })

  it('draws none on a narrow terminal, and never a line wider than it', () => {
    expect(layerLine(layer(), 60, 0)).toBe('c926b61bad3b: Downloading    1.2MB/3.4MB')
    expect(layerLine(layer(), 20, 0)).toBe('c926b61bad3b: Downl')
    expect(layerLine(layer(), 1, 0)).toBe('c')
  })

  it('says how long it will take once the rate is known', () => {
    expect(layerLine(layer(), 60, 500)).toBe('c926b61bad3b: Downloading    1.2MB/3.4MB')
    expect(layerLine(layer(), 60, 3000)).toBe('c926b61bad3b: Downloading    1.2MB/3.4MB 6s')
  })

  it('reckons only with what this attempt fetched when a download was resumed', () => {
    const resumed = layer({ offset: 1_000_000 })
    expect(layerLine(resumed, 60, 3000)).toBe('c926b61bad3b: Downloading    1.2MB/3.4MB 33s')
  })

  it('fills the bar at the end, and survives sizes that do not add up', () => {
    const full = layer({ done: 3_400_000 })
    expect(layerLine(full, 80, 5000)).toBe(
      'c926b61bad3b: Downloading [==========================]    3.4MB/3.4MB',
    )
    expect(layerLine(layer({ done: 9_999_999 }), 80, 0)).toContain(`[${'='.repeat(26)}]`)
    expect(layerLine(layer({ done: 5, size: 0 }), 80, 0)).toBe(
      'c926b61bad3b: Downloading       5B/0B',
    )
  })

  it('draws the unpacking like the download', () => {
    expect(layerLine(layer({ status: 'Extracting' }), 80, 0)).toBe(
      'c926b61bad3b: Extracting [=========>                ]    1.2MB/3.4MB',
    )
  })

  it('shows a state without numbers, and why there is a retry', () => {
    expect(layerLine(layer({ status: 'Pull complete' }), 80, 0)).toBe('c926b61bad3b: Pull complete')
    const retry = layer({ status: 'Retrying in 2 seconds', reason: 'connection\u001b[2J reset' })
    expect(layerLine(retry, 80, 0)).toBe(
      'c926b61bad3b: Retrying in 2 seconds (connection\\x1b[2J reset)',
    )
  })
})

describe('progressLines', () => {
  it('shows those at work and counts the others when there are more layers than rows', () => {
    const layers = Array.from({ length: 12 }, (_, index) =>
      layer({
        label: `layer${index}`,
        status: index < 6 ? 'Pull complete' : index === 7 ? 'Downloading' : 'Waiting',
        done: 0,
      }),
    )
    expect(progressLines(layers, { columns: 60, rows: 6 }, 0)).toEqual([
      'layer7: Downloading       0B/3.4MB',
      'layer10: Waiting',
      'layer11: Waiting',
      '… and 9 more layers, 6 of them complete',
    ])
  })
})
