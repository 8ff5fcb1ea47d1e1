import { anonymous, type Principal } from './principal.ts';

/** Says who somebody is by the token they show. */
export interface Authenticator {
  /** Whether everybody is let in without a token. */
  readonly open: boolean;

  /**
   * @param token what was shown; `undefined`: nothing was
   * @param address where they come from
   * @throws AccessRefused where they are not let in
   * @throws AccessUnavailable where that cannot be said now
   */
  authenticate(token: string | undefined, address: string): Promise<Principal>;

  /**
   * A principal as it is known by now; `undefined` where it is no longer let in. A token that carries
   * its own rights stays as it is.
   */
  recheck(principal: Principal): Principal | undefined;

  /** `changed` is called when {@link recheck} may say something else. */
  watch(changed: () => void): void;

  /** Reads keys anew; where that cannot be done the last ones stay. */
  reload(): void;

  /** Ends what watches files. */
  close(): void;
}

/** Lets everybody in. */
export class OpenDoor implements Authenticator {
  readonly open = true;
  /** Connections mostly come from the same few addresses, one of which is the proxy's. */
  #last: { readonly address: string; readonly principal: Principal } | undefined;

  async authenticate(_token: string | undefined, address: string): Promise<Principal> {
    if (this.#last?.address !== address) this.#last = { address, principal: anonymous(address) };
    return this.#last.principal;
  }

  recheck(principal: Principal): Principal {
    return principal;
  }

  watch(): void {}

  reload(): void {}

  close(): void {}
}

/**
 * The token in what a client sent as its authorization: behind `Bearer`, or alone, as many clients put
 * it into the payload of `connection_init`.
 */
export function bearerToken(authorization: string | null | undefined): string | undefined {
  const text = authorization?.trim();
  if (!text) return undefined;
  const [, token] = /^bearer\s+(\S+)$/i.exec(text) ?? [];
  return token ?? (/\s/.test(text) || /^bearer$/i.test(text) ? undefined : text);
}
