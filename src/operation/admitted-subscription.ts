import type { Principal } from '../access/principal.ts';
import type { ConnectionQuota } from '../access/quota.ts';
import type { SharedSubscription } from '../access/shared-places.ts';
import type { ContractKey } from '../contract/key.ts';
import { ORIGIN, readCursor } from '../hub/position.ts';
import type { Projection } from '../render/projection.ts';
import type { AskedUpdates } from '../schema/subscription-root.ts';
import type { UpdateWish } from '../updates/contract-updates.ts';

/** A subscription that may be opened. */
export class AdmittedSubscription {
  readonly kind = 'subscription';
  readonly #asked: AskedUpdates;
  readonly #projection: Projection;
  readonly #who: () => Principal;

  constructor(asked: AskedUpdates, projection: Projection, who: () => Principal) {
    this.#asked = asked;
    this.#projection = projection;
    this.#who = who;
  }

  /**
   * What {@link take} is about to take is taken from what all processes may together.
   *
   * @returns `undefined` where this process is alone
   * @throws LimitExceeded, AccessRefused as {@link take} does
   */
  reserve(quota: ConnectionQuota): Promise<SharedSubscription> | undefined {
    const { contracts } = this.#who();
    return quota.reserve(
      this.#asked.keys.filter((key) => contracts.allow(key)),
      this.#projection,
    );
  }

  /**
   * Takes what the subscription uses of its connection. Who may see what is asked once more, at this
   * moment: it may have become less since the operation was admitted.
   *
   * @param resume a cursor that the transport resumes by, in the place of `since`; one that cannot be read
   *   begins with everything
   * @param reserved what {@link reserve} has taken, given back with the place, or at once where this throws
   * @throws LimitExceeded where it would be too much
   * @throws AccessRefused where the principal is not let in any more
   */
  take(quota: ConnectionQuota, resume?: string, reserved?: SharedSubscription): SubscriptionPlace {
    try {
      return this.#take(quota, resume, reserved);
    } catch (error) {
      reserved?.giveBack();
      throw error;
    }
  }

  #take(
    quota: ConnectionQuota,
    resume: string | undefined,
    reserved: SharedSubscription | undefined,
  ): SubscriptionPlace {
    const { contracts } = this.#who();
    const { keys: asked, initial, intervalMs, everyMs, changesOnly } = this.#asked;
    const { readsSince } = this.#projection;
    const since = resume === undefined ? this.#asked.since : (readCursor(resume) ?? ORIGIN);
    const keys: ContractKey[] = [];
    const refusedKeys: ContractKey[] = [];
    for (const key of asked) (contracts.allow(key) ? keys : refusedKeys).push(key);
    quota.subscribe(keys, this.#projection);
    const all = this.#asked.all ? (key: ContractKey) => contracts.allow(key) : undefined;
    const wish = {
      keys,
      all,
      refusedKeys,
      initial,
      intervalMs,
      everyMs,
      changesOnly,
      since,
      readsSince,
    };
    return new SubscriptionPlace(quota, wish, this.#projection, reserved);
  }
}

/** What a subscription has taken of its connection; its owner gives it back once, however it ends. */
export class SubscriptionPlace {
  readonly kind = 'contracts';
  readonly wish: UpdateWish;
  readonly projection: Projection;
  readonly #reserved: SharedSubscription | undefined;
  #quota: ConnectionQuota | undefined;

  constructor(
    quota: ConnectionQuota,
    wish: UpdateWish,
    projection: Projection,
    reserved?: SharedSubscription,
  ) {
    this.#quota = quota;
    this.#reserved = reserved;
    this.wish = wish;
    this.projection = projection;
    projection.acquire();
  }

  /** Gives it back; harmless when repeated. */
  giveBack(): void {
    const quota = this.#quota;
    if (quota === undefined) return;
    this.#quota = undefined;
    this.projection.release();
    quota.unsubscribe(this.wish.keys, this.projection);
    this.#reserved?.giveBack();
  }
}
