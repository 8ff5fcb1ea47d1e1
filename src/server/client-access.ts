import type { WebSocket } from 'ws';
import type { Access } from '../access/access.ts';
import { LimitExceeded } from '../access/limit.ts';
import type { Principal } from '../access/principal.ts';
import type { ConnectionQuota } from '../access/quota.ts';
import { AccessRefused, AccessUnavailable } from '../access/refused.ts';
import type { Session, SessionEnd } from '../access/session.ts';
import type { Logger } from '../observability/log.ts';
import type { TokenRenewer } from '../schema/context.ts';
import { codedError } from '../schema/errors.ts';

/** The close code of a token that is refused or has expired. */
const FORBIDDEN = 4403;
/** The close code of a limit. */
export const LIMIT_EXCEEDED = 4429;
/** The close code of a gateway that cannot say now: clients come back on it. */
const TRY_AGAIN_LATER = 1013;
/** How long a connection without a token may take until an operation brings one, in milliseconds. */
const TOKEN_WAIT_MS = 3_000;

/** Who is on a WebSocket connection, from its first token to its last. */
export class ClientAccess implements TokenRenewer {
  readonly quota: ConnectionQuota;
  /** What the log names the connection by. */
  readonly id: string;
  readonly #access: Access;
  readonly #client: WebSocket;
  readonly #log: Logger;
  #session: Session | undefined;
  #forget: () => void = () => {};
  #waiting: NodeJS.Timeout | undefined;
  /** Tokens are looked at one after the other: two at once could both be taken for the first. */
  #last: Promise<unknown> = Promise.resolve();
  #narrowed: () => void = () => {};

  constructor(access: Access, quota: ConnectionQuota, client: WebSocket, id: string, log: Logger) {
    this.#access = access;
    this.quota = quota;
    this.#client = client;
    this.id = id;
    this.#log = log;
  }

  /** Who is on the connection; `undefined` while no token was shown. */
  get principal(): Principal | undefined {
    return this.#session?.principal;
  }

  /** `narrowed` is called when a new token allows fewer contracts than the one before. */
  watch(narrowed: () => void): void {
    this.#narrowed = narrowed;
  }

  /** The connection shows no token yet: an operation may bring one, but soon. */
  awaitToken(): void {
    this.#waiting ??= setTimeout(() => {
      if (this.#session === undefined) this.#client.close(FORBIDDEN, 'An access token is needed');
    }, TOKEN_WAIT_MS);
  }

  /**
   * A token is shown with the connection or with one of its operations. The first says who is on the
   * connection; it is closed where they may not be.
   *
   * @returns whether the connection stays open
   */
  async show(token: string | undefined): Promise<boolean> {
    try {
      if (this.#session === undefined) await this.#queue(() => this.#identify(token));
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
      const session = this.#session;
      if (session === undefined || session.principal.id !== principal.id) {
        throw codedError(
          'FORBIDDEN',
          'expected a token of the principal that is on the connection',
        );
      }
      const before = session.principal;
      session.renew(principal);
      if (!principal.contracts.equals(before.contracts)) this.#narrowed();
      return principal;
    });
  }

  /** The connection is gone. */
  close(): void {
    clearTimeout(this.#waiting);
    this.#forget();
    this.quota.leave();
  }

  async #identify(token: string | undefined): Promise<void> {
    if (this.#session !== undefined) return;
    const session = await this.#access.authenticate(token, this.quota.address);
    if (this.#client.readyState !== this.#client.OPEN) return;
    this.quota.identify(session);
    this.#session = session;
    clearTimeout(this.#waiting);
    this.#forget = session.onEnd((end) => this.#ended(end));
    this.#log.debug(
      { connectionId: this.id, principal: session.principal.id },
      'a client is known',
    );
  }

  #ended(end: SessionEnd): void {
    this.#log.info({ connectionId: this.id, principal: this.principal?.id }, end);
    this.#client.close(FORBIDDEN, end);
  }

  #refuse(error: unknown): void {
    if (error instanceof LimitExceeded) {
      this.#client.close(LIMIT_EXCEEDED, 'Too many connections');
    } else if (error instanceof AccessUnavailable) {
      this.#log.error({ connectionId: this.id, reason: error.message }, 'tokens cannot be checked');
      this.#client.close(TRY_AGAIN_LATER, 'Tokens cannot be checked now');
    } else {
      const detail = error instanceof AccessRefused ? error.detail : undefined;
      const { message } = error as Error;
      this.#log.info({ connectionId: this.id, reason: detail ?? message }, 'a client is refused');
      this.#client.close(FORBIDDEN, message.slice(0, 100));
    }
  }

  #queue<T>(look: () => Promise<T>): Promise<T> {
    const looked = this.#last.then(look);
    this.#last = looked.catch(() => {});
    return looked;
  }
}
