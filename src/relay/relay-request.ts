import type { ContractKey } from '../contract/key.ts';
import { ENDPOINT, parseSubscriptionTarget } from '../ime/protocol/endpoints.ts';

/** Where IME has its endpoints. Source: `ime-live-data-api.md`, "Base URL". */
const BASE_PATH = '/data-engine/ime';
const PATHS: readonly string[] = Object.values(ENDPOINT).map(({ path }) => BASE_PATH + path);

/** What a handshake at one of IME's endpoints asks for. */
export interface RelayRequest {
  /** Distinct contracts, whose texts are not checked. */
  readonly keys: readonly ContractKey[];
  /** `snapshot=true`: begin with what is known now, which IME does not. */
  readonly initial: boolean;
  /** `strict=false`: leave out contracts that are refused, instead of closing as IME does. */
  readonly isStrict: boolean;
}

/** Whether one of IME's endpoints is at a path. */
export function isRelayPath(path: string): boolean {
  return PATHS.includes(path);
}

/**
 * Reads a handshake.
 *
 * @param path its path, which {@link isRelayPath}
 * @param target its request target, for what is behind the path
 */
export function readRelayRequest(path: string, target: string): RelayRequest {
  const at = target.indexOf('?');
  const query = at === -1 ? '' : target.slice(at);
  const flags = new URLSearchParams(query);
  const { keys = [] } = parseSubscriptionTarget(path + query, BASE_PATH) ?? {};
  return {
    keys: [...new Set(keys)],
    initial: flags.get('snapshot') === 'true',
    isStrict: flags.get('strict') !== 'false',
  };
}
