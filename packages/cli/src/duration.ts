const MINUTE = 60
const HOUR = 60 * MINUTE
const DAY_HOURS = 24
const WEEK_HOURS = 7 * DAY_HOURS
const MONTH_HOURS = 30 * DAY_HOURS
const YEAR_HOURS = 365 * DAY_HOURS

/** A duration in the words of `docker ps`: `5 seconds`, `About an hour`, `3 weeks`. */
export function formatDuration(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000)
  if (seconds < 1) return 'Less than a second'
  if (seconds === 1) return '1 second'
  if (seconds < MINUTE) return `${seconds} seconds`
  const minutes = Math.floor(seconds / MINUTE)
  if (minutes === 1) return 'About a minute'
  if (minutes < 60) return `${minutes} minutes`
  const hours = Math.round(seconds / HOUR)
  if (hours === 1) return 'About an hour'
  if (hours < 2 * DAY_HOURS) return `${hours} hours`
  if (hours < 2 * WEEK_HOURS) return `${Math.floor(hours / DAY_HOURS)} days`
  if (hours < 2 * MONTH_HOURS) return `${Math.floor(hours / WEEK_HOURS)} weeks`
  if (hours < 2 * YEAR_HOURS) return `${Math.floor(hours / MONTH_HOURS)} months`
  return `${Math.floor(hours / YEAR_HOURS)} years`
}

/** A remaining time as short as a progress line wants it: `7s`, `3m12s`, `2h05m`. */
export function formatRemaining(milliseconds: number): string {
  const seconds = Math.max(1, Math.round(milliseconds / 1000))
  if (seconds < MINUTE) return `${seconds}s`
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)}m${twoDigits(seconds % MINUTE)}s`
  return `${Math.floor(seconds / HOUR)}h${twoDigits(Math.floor((seconds % HOUR) / MINUTE))}m`
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0')
}
