/**
 * `YYYY-MM-DD`, `T` or a space, `HH:MM:SS`, up to nine digits of a second, no zone. `Date.UTC` would take the
 * year 26 for 1926.
 */
const LOCAL_DATE_TIME =
  /^(?!00)\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[T ](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?$/;

const ZERO = 0x30;

/** The same with its offset from UTC behind it. */
const INSTANT = /^(.{19}(?:\.\d{1,9})?)(?:([zZ])|([+-])(\d\d):?(\d\d))$/;

/** A time zone's offset from UTC at local times, such as IME's zoneless timestamps need it. */
export class LocalTimeZone {
  readonly #format: Intl.DateTimeFormat;
  /** The offset changes at a full minute at the earliest, so one minute's answer is remembered. */
  #minute = '';
  #offsetMs = 0;

  /**
   * @param name an IANA name such as `Asia/Tehran`
   * @throws RangeError where Node does not know the zone
   */
  constructor(readonly name: string) {
    this.#format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  }

  /** Epoch milliseconds of a local date and time; `undefined` where the text is not one. */
  toEpochMs(local: string): number | undefined {
    const asUtcMs = localAsUtcMs(local);
    return asUtcMs === undefined ? undefined : asUtcMs - this.#offsetAtLocal(local, asUtcMs);
  }

  /**
   * The instant of a local date and time as RFC 3339 text with the zone's offset and six digits of a
   * second, `2026-05-23T15:10:00.000000+03:30`. More than six digits are cut, fewer are filled with 0.
   */
  toInstant(local: string): string {
    const asUtcMs = localAsUtcMs(local);
    if (asUtcMs === undefined) throw new RangeError(`expected a local date and time, got ${local}`);
    const fraction = `${local.slice(20)}000000`.slice(0, 6);
    return `${local.slice(0, 10)}T${local.slice(11, 19)}.${fraction}${offsetText(this.#offsetAtLocal(local, asUtcMs))}`;
  }

  /**
   * The local date and time of an instant that is written with an offset, `2026-05-23T11:40:00Z`, with the
   * digits of a second that it has; `undefined` where the text is not one.
   */
  fromInstant(text: string): string | undefined {
    const [, local, , sign, hours = '0', minutes = '0'] = INSTANT.exec(text) ?? [];
    const asUtcMs = local === undefined ? undefined : localAsUtcMs(local.slice(0, 19));
    if (local === undefined || asUtcMs === undefined) return undefined;
    const offsetMs = (Number(hours) * 60 + Number(minutes)) * 60_000 * (sign === '-' ? -1 : 1);
    if (Number(hours) > 23 || Number(minutes) > 59) return undefined;
    const epochMs = asUtcMs - offsetMs;
    const wall = new Date(epochMs + this.#offsetAt(epochMs)).toISOString();
    return `${wall.slice(0, 19)}${local.slice(19)}`;
  }

  /** Epoch milliseconds as IME would write them: local, zoneless, six digits of a second. */
  toLocal(epochMs: number): string {
    const wallMs = epochMs + this.#offsetAt(epochMs);
    return `${new Date(wallMs).toISOString().slice(0, 23)}000`;
  }

  #offsetAtLocal(local: string, asUtcMs: number): number {
    const minute = local.slice(0, 16);
    if (minute !== this.#minute) {
      // The first guess is off by at most the offset's own change; the second look corrects it.
      const guess = this.#offsetAt(asUtcMs);
      this.#offsetMs = this.#offsetAt(asUtcMs - guess);
      this.#minute = minute;
    }
    return this.#offsetMs;
  }

  #offsetAt(epochMs: number): number {
    const part: Record<string, number> = {};
    for (const { type, value } of this.#format.formatToParts(epochMs)) part[type] = Number(value);
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part;
    return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(epochMs / 1000) * 1000;
  }
}

/** Whether `text` is a local date and time as {@link LocalTimeZone} reads it. */
export function isLocalDateTime(text: string): boolean {
  if (!LOCAL_DATE_TIME.test(text)) return false;
  const day = twoDigits(text, 8);
  return day <= 28 || day <= daysOf(yearOf(text), twoDigits(text, 5));
}

function localAsUtcMs(local: string): number | undefined {
  if (!isLocalDateTime(local)) return undefined;
  // Asked for each message of IME: digits by their places take a quarter of the time of matched groups.
  const wholeMs = Date.UTC(
    yearOf(local),
    twoDigits(local, 5) - 1,
    twoDigits(local, 8),
    twoDigits(local, 11),
    twoDigits(local, 14),
    twoDigits(local, 17),
  );
  return local.length === 19 ? wholeMs : wholeMs + Number(`0${local.slice(19)}`) * 1000;
}

function daysOf(year: number, month: number): number {
  if (month !== 2) return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
}

function yearOf(local: string): number {
  return 100 * twoDigits(local, 0) + twoDigits(local, 2);
}

function twoDigits(text: string, at: number): number {
  return 10 * (text.charCodeAt(at) - ZERO) + text.charCodeAt(at + 1) - ZERO;
}

function offsetText(offsetMs: number): string {
  const minutes = Math.round(Math.abs(offsetMs) / 60_000);
  const hh = String(Math.floor(minutes / 60)).padStart(2, '0');
  const mm = String(minutes % 60).padStart(2, '0');
  return `${offsetMs < 0 ? '-' : '+'}${hh}:${mm}`;
}
