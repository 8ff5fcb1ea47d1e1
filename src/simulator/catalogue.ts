/** A contract that the simulator lists, known by its name and by its ID. */
export interface ListedContract {
  readonly name: string;
  readonly id: string;
  /** Smallest price step. */
  readonly tick: number;
  /** Price of the previous close, in ticks. */
  readonly previousCloseTicks: number;
  /** How often it changes, relative to the others. */
  readonly activity: number;
}

const BUSY = 20;
const ORDINARY = 4;
const QUIET = 0.2;

/**
 * Name with `{}` for the delivery, first ID, tick, previous close in ticks, activity. The names are
 * short enough for all of them to fit the URL of one upstream socket.
 */
const UNDERLYINGS: readonly (readonly [string, string, number, number, number])[] = [
  ['شمش طلا {}', '1101', 1_000, 152_300, BUSY],
  ['نیم\u200cسکه {}', '1301', 10_000, 88_200, ORDINARY],
  ['زعفران {}', '2101', 100, 24_180, ORDINARY],
  ['نقره {}', '1401', 50, 37_260, ORDINARY],
  ['پسته {}', '2201', 500, 9_640, QUIET],
  ['Gold Bar {}', '3101', 1_000, 152_900, BUSY],
  ['Gold Coin {}', '3201', 10_000, 168_450, BUSY],
  ['Silver & Copper {}', '3301', 0.5, 18_420, ORDINARY],
  ['Steel Billet {}', '3401', 10, 31_150, ORDINARY],
  ['Cumin 99% {}', '4101', 5, 61_020, QUIET],
];
const DELIVERIES: readonly (readonly [persian: string, latin: string])[] = [
  ['آذر ۰۵', 'DE05'],
  ['دی ۰۵', 'JA05'],
  ['اسفند ۰۵', 'MR05'],
  ['خرداد ۰۶', 'JN06'],
];

/** The simulator's own contracts: forty, ten underlyings with four deliveries each. Invented. */
export const CATALOGUE: readonly ListedContract[] = UNDERLYINGS.flatMap(
  ([name, firstId, tick, previousCloseTicks, activity], underlying) =>
    DELIVERIES.map(([persian, latin], delivery) => ({
      name: name.replace('{}', /^[A-Z]/.test(name) ? latin : persian),
      // One ID with zeros in front, as a reminder that IDs are texts.
      id: underlying === 5 && delivery === 0 ? '007' : String(Number(firstId) + delivery),
      tick,
      // Later deliveries cost more and trade less.
      previousCloseTicks: Math.round(previousCloseTicks * (1 + 0.03 * delivery)),
      activity: activity / (1 + delivery),
    })),
);
