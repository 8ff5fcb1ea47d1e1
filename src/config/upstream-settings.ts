import { contractTextFault } from '../contract/key.ts';
import { LocalTimeZone } from '../contract/local-time.ts';
import { type ReplayTarget, readReplayTarget } from './replay-target.ts';
import { list, oneOf, optional, readable, setting, text, whole } from './setting-kinds.ts';
import { webUrl } from './web-url.ts';

const DAY_MS = 86_400_000;
const contracts = list(
  (item) => contractTextFault(item) === undefined,
  'contracts between commas, each of 1 to 256 characters without control characters',
);
const serviceUrl = readable(
  readServiceUrl,
  'a ws, wss, http or https URL without query and user, or replay:DIR with any of speed, from, loop and time behind a ?',
);
const timeZone = readable(
  (given) => new LocalTimeZone(given),
  'a time zone that Node knows, such as Asia/Tehran',
);

const token = readable((given) => {
  if (!/^[\x21-\x7e\x80-\xff]+$/.test(given.trim())) throw new TypeError('not a token');
  return given.trim();
}, 'a token of characters that a header can carry');

/** The settings of what contracts come from. */
export const UPSTREAM_SETTINGS = {
  IME_URL: optional(
    serviceUrl,
    'Base of the IME service, such as wss://core.hedgetech.ir/data-engine/ime; or a recording, replay:DIR?speed=10&from=2026-05-23T08:00:00Z&loop=true&time=now. Unset: the embedded simulator.',
  ),
  IME_TOKEN: optional(token, 'Access token for IME.', true),
  IME_TOKEN_FILE: optional(
    text,
    'File that holds the access token; read anew when it changes and at each refusal.',
  ),
  IME_USERNAME: optional(
    text,
    'Name to log in to IME with: the gateway then gets and renews its token by itself. Not together with IME_TOKEN or its file.',
  ),
  IME_PASSWORD: optional(text, 'Password to log in to IME with.', true),
  IME_PASSWORD_FILE: optional(text, 'File that holds the password; read anew when it changes.'),
  IME_LOGIN_URL: optional(
    webUrl,
    "Where to log in. Unset: /auth/user/token/issue at IME_URL's host, https for wss.",
  ),
  IME_AUTHORIZATION: setting(
    oneOf(['auto', 'bearer', 'raw']),
    'auto',
    'How the token stands in its header: bearer puts Bearer before it, raw does not, auto tries the first and then the second.',
  ),
  IME_HEADERS_FILE: optional(
    text,
    'File with a JSON object of further headers for login and handshakes, such as Origin, User-Agent and Cookie; read anew when it changes.',
  ),
  IME_MAX_CONTRACTS_PER_SOCKET: setting(
    whole(1, 10_000),
    '100',
    'Contracts on one upstream socket.',
  ),
  IME_MAX_URL_BYTES: setting(
    whole(256, 1_000_000),
    '3900',
    'Bytes of an upstream request target (path and query). Older uvicorn refuses 4,096 and more.',
  ),
  IME_PING_INTERVAL_MS: setting(
    whole(100, DAY_MS),
    '5000',
    'Milliseconds between pings on an upstream socket.',
  ),
  IME_PING_TIMEOUT_MS: setting(
    whole(100, DAY_MS),
    '5000',
    'Milliseconds after a ping without any frame until the socket counts as dead.',
  ),
  IME_LINGER_MS: setting(
    whole(0, DAY_MS),
    '30000',
    'Milliseconds that a contract stays subscribed upstream after its last subscriber.',
  ),
  IME_PINNED_NAMES: setting(contracts, '', 'Contract names that are always subscribed.'),
  IME_PINNED_IDS: setting(contracts, '', 'Contract IDs that are always subscribed.'),
  IME_TIME_ZONE: setting(timeZone, 'Asia/Tehran', "Zone of IME's zoneless timestamps."),
  RECORD_DIR: optional(text, 'Folder that every message of IME is recorded in.'),
  RECORD_MAX_BYTES: setting(
    whole(1_000_000, 2 ** 50),
    String(10 * 2 ** 30),
    'Bytes of all recordings in RECORD_DIR; the oldest are deleted.',
  ),
  RECORD_MAX_DAYS: setting(whole(1, 36_500), '30', 'Days that recordings are kept.'),
};

/** A recording stays as it is written: it is read by whoever plays it. */
function readServiceUrl(given: string): URL | ReplayTarget {
  if (given.startsWith('replay:')) return readReplayTarget(given);
  const url = new URL(given);
  const known = ['ws:', 'wss:', 'http:', 'https:'].includes(url.protocol);
  if (!known || url.search || url.hash || url.username || url.password) throw new TypeError(given);
  return url;
}
