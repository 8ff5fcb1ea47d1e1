import { CookieJar } from 'tough-cookie';
import { tokenFault } from './header-text.ts';

const TIMEOUT_MS = 10_000;
/** The longest answer that is read, in bytes. */
const MOST_ANSWER_BYTES = 64 * 1024;
/** As much of what the service says is told, in characters. */
const MOST_DETAIL = 200;

/** What the two of them are called in the form: as the API document has it, and as its makers' SDK. */
const FIELD_NAMES = [
  ['username', 'password'],
  ['UserName_or_Email', 'Password'],
] as const;

/** Where to log in, and as whom. */
export interface LoginForm {
  readonly url: URL;
  readonly username: string;
  readonly password: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The place of the field names in {@link FIELD_NAMES} that are tried first. */
  readonly fields: number;
}

/**
 * How a login ended: with a token; refused by name or password; not at all, where `unreachable` is a service
 * that nothing answered for; or with something that is no answer to a login.
 */
export type LoginAnswer =
  | {
      readonly outcome: 'accepted';
      readonly token: string;
      readonly cookies: CookieJar;
      readonly fields: number;
      /** What time the service says it is, in epoch milliseconds; `undefined` where it does not. */
      readonly serviceTimeMs: number | undefined;
    }
  | {
      readonly outcome: 'refused' | 'malformed';
      readonly detail: string;
      /** Of the two, the field names that the service knows, as far as it has said so. */
      readonly fields: number;
    }
  | UnreachableLogin;

/** Nothing answered, or nothing that has to do with name and password. */
export interface UnreachableLogin {
  readonly outcome: 'unreachable';
  readonly detail: string;
  /** Nothing answered at all; the service wants to be left alone; or it answered with an error. */
  readonly why: 'down' | 'throttled' | 'failing';
  /** The answer's Retry-After. */
  readonly retryAfter: string | null;
}

/**
 * Logs in once, with the other field names where the first are not those that the service knows: at most
 * two requests. Never rejects.
 *
 * Source: `ime-live-data-api.md` and what its makers publish elsewhere: a form, answered with
 * `{"Authorization": "<JWT>"}` and 200 or 201; faults are `{"detail": …}`, 422 for a missing field.
 */
export async function logIn(form: LoginForm, signal: AbortSignal): Promise<LoginAnswer> {
  const order = [form.fields, 1 - form.fields];
  for (const fields of order) {
    const answer = await request(form, fields, signal);
    if (answer !== 'otherFields') return answer;
  }
  const detail = 'it knows neither of the forms (HTTP 422)';
  return { outcome: 'refused', detail, fields: form.fields };
}

async function request(
  { url, username, password, headers }: LoginForm,
  fields: number,
  signal: AbortSignal,
): Promise<LoginAnswer | 'otherFields'> {
  const [userField, passwordField] = FIELD_NAMES[fields] ?? FIELD_NAMES[0];
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, {
      method: 'POST',
      // A password goes to the host that was named and to no other.
      redirect: 'manual',
      headers: { ...headers, accept: 'application/json' },
      body: new URLSearchParams([
        [userField, username],
        [passwordField, password],
      ]),
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    text = await readText(response);
  } catch (error) {
    const { cause, message, name } = error as Error & { cause?: { code?: string } };
    const code = cause?.code ?? (name === 'TimeoutError' ? 'no answer in time' : message);
    return { outcome: 'unreachable', detail: code, why: 'down', retryAfter: null };
  }
  const { status } = response;
  if (status === 200 || status === 201) return accepted(response, text, url, fields);
  const detail = `HTTP ${status}${detailOf(text)}`;
  if (status === 422) return 'otherFields';
  if (status === 400 || status === 401 || status === 403)
    return { outcome: 'refused', detail, fields };
  if (status === 429 || status >= 500) {
    const isDown = status >= 502 && status <= 504;
    const why = status === 429 ? 'throttled' : isDown ? 'down' : 'failing';
    return { outcome: 'unreachable', detail, why, retryAfter: response.headers.get('retry-after') };
  }
  return { outcome: 'malformed', detail, fields };
}

async function accepted(
  response: Response,
  text: string,
  url: URL,
  fields: number,
): Promise<LoginAnswer> {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    return { outcome: 'malformed', detail: 'its answer is no JSON', fields };
  }
  const given = (answer as { Authorization?: unknown } | null)?.Authorization;
  const token = typeof given === 'string' ? given.replace(/^Bearer\s+/i, '').trim() : '';
  if (tokenFault(token) !== undefined) {
    return {
      outcome: 'malformed',
      detail: 'its answer has no Authorization that a header can carry',
      fields,
    };
  }
  const cookies = new CookieJar();
  for (const cookie of response.headers.getSetCookie()) {
    await cookies.setCookie(cookie, url.href, { ignoreError: true });
  }
  const serviceTimeMs = Date.parse(response.headers.get('date') ?? '');
  return {
    outcome: 'accepted',
    token,
    cookies,
    fields,
    serviceTimeMs: Number.isNaN(serviceTimeMs) ? undefined : serviceTimeMs,
  };
}

async function readText(response: Response): Promise<string> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    if (text.length > MOST_ANSWER_BYTES) break;
  }
  return text.slice(0, MOST_ANSWER_BYTES);
}

/** What a service built with FastAPI says of a fault. */
function detailOf(text: string): string {
  try {
    const { detail } = JSON.parse(text) as { detail?: unknown };
    if (typeof detail !== 'string') return '';
    return `: ${detail.replaceAll(/\p{Cc}/gu, ' ').slice(0, MOST_DETAIL)}`;
  } catch {
    return '';
  }
}
