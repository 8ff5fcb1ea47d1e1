import { z } from 'zod';

/** How a setting's text becomes its value. */
export interface SettingKind<T> {
  readonly schema: z.ZodType<T, string>;
  /** What is expected, as a phrase that completes «expected …». */
  readonly expected: string;
}

/** One setting: its kind, what it is without being set, and what it means. */
export interface Setting<T> extends SettingKind<T> {
  /** The text in force where none is given; `undefined`: unset. */
  readonly fallback: string | undefined;
  readonly meaning: string;
  /** Never printed. */
  readonly secret: boolean;
}

/** A setting that has a value in any case. */
export function setting<T>(kind: SettingKind<T>, fallback: string, meaning: string): Setting<T> {
  return { ...kind, fallback, meaning, secret: false };
}

/** A setting that may be left unset. */
export function optional<T>(
  kind: SettingKind<T>,
  meaning: string,
  secret = false,
): Setting<T | undefined> {
  return {
    schema: kind.schema as z.ZodType<T | undefined, string>,
    expected: kind.expected,
    fallback: undefined,
    meaning,
    secret,
  };
}

/** A whole number within bounds. */
export function whole(least: number, most: number): SettingKind<number> {
  const schema = z
    .string()
    .regex(/^\d{1,16}$/)
    .transform(Number)
    .pipe(z.int().min(least).max(most));
  return { schema, expected: `a whole number from ${least} to ${most}` };
}

/** The same, or `auto` for what `auto` says. */
export function wholeOrAuto(least: number, most: number, auto: () => number): SettingKind<number> {
  const { schema, expected } = whole(least, most);
  return {
    schema: z
      .string()
      .transform((given) => (given === 'auto' ? String(Math.min(most, auto())) : given))
      .pipe(schema),
    expected: `auto or ${expected}`,
  };
}

/** Any text but an empty one. */
export const text: SettingKind<string> = { schema: z.string().min(1), expected: 'a text' };

/** One of some words. */
export function oneOf<const Words extends readonly [string, ...string[]]>(
  words: Words,
): SettingKind<Words[number]> {
  return { schema: z.enum(words), expected: `one of ${words.join(', ')}` };
}

/** Texts between commas; spaces around them do not count. */
export function list(check: (item: string) => boolean, expected: string): SettingKind<string[]> {
  const schema = z
    .string()
    .transform((given) => (given === '' ? [] : given.split(',').map((item) => item.trim())))
    .pipe(z.array(z.string().refine(check)));
  return { schema, expected };
}

/** Anything that `read` can read; what it throws on is a fault. */
export function readable<T>(read: (given: string) => T, expected: string): SettingKind<T> {
  const schema = z.string().transform((given, context) => {
    try {
      return read(given);
    } catch {
      context.addIssue({ code: 'custom', message: expected });
      return z.NEVER;
    }
  });
  return { schema, expected };
}
