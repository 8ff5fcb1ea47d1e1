import type { Access } from '../access/access.ts';
import { LimitExceeded } from '../access/limit.ts';
import type { Principal } from '../access/principal.ts';
import type { ConnectionQuota } from '../access/quota.ts';
import { AccessRefused, AccessUnavailable } from '../access/refused.ts';
import type { SessionEnd } from '../access/session.ts';
import type { Logger } from '../observability/log.ts';
import type { RefusalLog } from '../operation/refusal-log.ts';
import { codedError } from '../schema/errors/coded-error.ts';
import type { TokenRenewer } from '../schema/resolver-context.ts';

/** The close code of a limit. */
export const LIMIT_EXCEEDED = 4429;
/** The close code of a gateway that cannot say now: clients come back on it. */
export const TRY_AGAIN_LATER = 1013;
/** The connection, as far as its access concerns it. */
export interface AccessedClient {
  readonly OPEN: number;
  readonly readyState: number;
  close(code: number, reason: string): void;
  /** Fewer contracts may be seen than before. */
  narrowed(): void;
}

/** Who is on a WebSocket connection, from its first token to its last. */
export class ConnectionIdentity implements TokenRenewer {
  readonly quota: ConnectionQuota;
  /** The token of the handshake, as native clients send it. */
  readonly handshakeToken: string | undefined;
  readonly #number: number;
  readonly #access: Access;
  readonly #client: AccessedClient;
  readonly #log: Logger;
  readonly #refusals: RefusalLog;
  readonly #refusedCode: number;
  #forget: (() => void) | undefined;
  /** Tokens are looked at one after the other: two at once could both be taken for the first. */
  #looking: Promise<unknown> | undefined;

  /**
   * @param number what tells the connection from all others
   * @param refusedCode the close code of a token that is refused or has expired
   */
  constructor(
    access: Access,
    quota: ConnectionQuota,
    client: AccessedClient,
    handshakeToken: string | undefined,
    number: number,
    log: Logger,
    refusals: RefusalLog,
    refusedCode: number,
  ) {
    this.#access = access;
    this.quota = quota;
    this.#client = client;
    this.handshakeToken = handshakeToken;
    this.#number = number;
    this.#log = log;
    this.#refusals = refusals;
    this.#refusedCode = refusedCode;
  }

  /** What the log names the connection by. */
  get id(): string {
    return this.#number.toString(36);
  }

  /** Who is on the connection; `undefined` while no token was shown. */
  get principal(): Principal | undefined {
    return this.quota.session?.principal;
  }

  /**
   * Who is on the connection, as of now.
   *
   * @throws AccessRefused where they are not let in any more
   */
  current(): Principal {
    const { session } = this.quota;
    if (session === undefined) throw new AccessRefused('An access token is needed.');
    return this.#access.current(session);
  }

  /**
   * A token is shown with the connection or with one of its operations. The first says who is on the
   * connection; it is closed where they may not be.
   *
   * @returns whether the connection stays open
   */
  async show(token: string | undefined): Promise<boolean> {
    try {
      if (this.principal === undefined) await this.#queue(() => this.#identify(token));
      else if (token !== undefined) await this.renew(token);
      return true;
    } catch (error) {
      this.#refuse(error);
      return false;
    }
  }

  /**
   * Another token of the same principal is in force from now on.
   *
   * @throws AccessRefused where it is not accepted; the last one then stays in force
   * @throws AccessUnavailable where that cannot be said now
   * @throws GraphQLError where it is somebody else's
   */
  renew(token: string): Promise<Principal> {
    return this.#queue(async () => {
      const { principal } = await this.#access.authenticate(token, this.quota.address);
      const { session } = this.quota;
      if (session === undefined || session.principal.id !== principal.id) {
        throw codedError(
          'FORBIDDEN',
          'expected a token of the principal that is on the connection',
        );
      }
      const before = session.principal;
      session.renew(principal);
      if (!principal.contracts.equals(before.contracts)) this.#client.narrowed();
      return principal;
    });
  }

  /** The connection is gone. */
  close(): void {
    this.#forget?.();
    this.quota.leave();
  }

  async #identify(token: string | undefined): Promise<void> {
    if (this.principal !== undefined) return;
    const session = await this.#access.authenticate(token, this.quota.address);
    if (this.#client.readyState !== this.#client.OPEN) return;
    const identifying = this.quota.identifying(session);
    if (identifying !== undefined) {
      await identifying;
      if (this.#client.readyState !== this.#client.OPEN) return;
    }
    this.#forget = session.onEnd((end) => this.#ended(end));
    this.#log.debug(
      { connectionId: this.id, principal: session.principal.id },
      'a client is known',
    );
  }

  #ended(end: SessionEnd): void {
    this.#log.info({ connectionId: this.id, principal: this.principal?.id }, end);
    this.#client.close(this.#refusedCode, end);
  }

  #refuse(error: unknown): void {
    if (error instanceof LimitExceeded) {
      this.#client.close(LIMIT_EXCEEDED, 'Too many connections');
      return;
    }
    this.#refusals.refused(error, { connectionId: this.id, address: this.quota.address });
    if (error instanceof AccessUnavailable) {
      this.#client.close(TRY_AGAIN_LATER, 'Tokens cannot be checked now');
    } else {
      this.#client.close(this.#refusedCode, (error as Error).message.slice(0, 100));
    }
  }

  #queue<T>(look: () => Promise<T>): Promise<T> {
    const looked = this.#looking === undefined ? look() : this.#looking.then(look);
    const done = looked
      .catch(() => {})
      .finally(() => {
        if (this.#looking === done) this.#looking = undefined;
      });
    this.#looking = done;
    return looked;
  }
}
