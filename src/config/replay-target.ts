/** What an `IME_URL` of `replay:DIR?…` asks for. */
export interface ReplayTarget {
  /** As it was written. */
  readonly text: string;
  /** The same, as settings are printed. */
  toString(): string;
  readonly folder: string;
  /** How many times as fast as it was; `Infinity` for as fast as it can be read. */
  readonly speed: number;
  /** Leaves out what came before, in epoch milliseconds. */
  readonly fromMs: number;
  /** Begins again at its end. */
  readonly isLoop: boolean;
  /** Whether timestamps are moved to now. */
  readonly isMoved: boolean;
}

const SCHEME = 'replay:';
const MOST_SPEED = 1_000_000;
const KNOWN = ['speed', 'from', 'loop', 'time'];
const HAS_ZONE = /(?:[zZ]|[+-]\d\d:?\d\d)$/;

/** Reads an `IME_URL` that begins with `replay:`. @throws TypeError saying what was expected */
export function readReplayTarget(url: string): ReplayTarget {
  const [folder = '', query = ''] = splitOnce(url.slice(SCHEME.length), '?');
  if (folder === '') throw new TypeError('expected replay: and a folder, got no folder');
  const asked = new URLSearchParams(query);
  for (const name of asked.keys()) {
    if (!KNOWN.includes(name)) {
      throw new TypeError(`expected one of ${KNOWN.join(', ')} behind the folder, got ${name}`);
    }
  }
  return {
    text: url,
    toString: () => url,
    folder,
    speed: readSpeed(asked.get('speed') ?? '1'),
    fromMs: readInstantMs(asked.get('from') ?? undefined, Number.NEGATIVE_INFINITY),
    isLoop: oneOf('loop', asked.get('loop') ?? 'false', ['false', 'true']) === 'true',
    isMoved: oneOf('time', asked.get('time') ?? 'recorded', ['recorded', 'now']) === 'now',
  };
}

function readSpeed(text: string): number {
  if (text === 'max') return Number.POSITIVE_INFINITY;
  const speed = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : 0;
  if (speed > 0 && speed <= MOST_SPEED) return speed;
  throw new TypeError(`speed: expected max, or more than 0 up to ${MOST_SPEED}, got ${text}`);
}

/**
 * An instant as a person writes it, UTC unless it says otherwise, in epoch milliseconds.
 *
 * @param otherwise where none is given
 * @throws TypeError saying what was expected
 */
export function readInstantMs(text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  // A query's + stands for a space, and whoever types an offset means it.
  const written = text.replace(/ (\d\d:?\d\d)$/, '+$1');
  const isDay = /^\d{4}-\d\d-\d\d$/.test(written);
  const fromMs = Date.parse(isDay || HAS_ZONE.test(written) ? written : `${written}Z`);
  if (!Number.isNaN(fromMs)) return fromMs;
  throw new TypeError(`from: expected an instant such as 2026-05-23T11:40:00Z, got ${text}`);
}

function oneOf(name: string, text: string, texts: readonly string[]): string {
  if (texts.includes(text)) return text;
  throw new TypeError(`${name}: expected ${texts.join(' or ')}, got ${text}`);
}

function splitOnce(text: string, at: string): string[] {
  const place = text.indexOf(at);
  return place === -1 ? [text] : [text.slice(0, place), text.slice(place + 1)];
}
