import type { ContractHub } from '../hub/hub.ts';
import { EndingIterator } from '../lib/ending-iterator.ts';
import type { Mailbox } from '../lib/mailbox.ts';
import type { SubscriptionPlace } from '../operation/admitted-subscription.ts';
import type { StreamedResult } from '../operation/streamed-result.ts';
import { BatchProjection } from '../render/batch-projection.ts';
import type { Projection } from '../render/projection.ts';
import { forbiddenContract } from '../schema/errors/coded-error.ts';
import { Batch } from '../updates/batch.ts';
import { subscribeToContracts } from '../updates/contract-subscription.ts';
import type { ContractUpdate } from '../updates/contract-updates.ts';

/**
 * The results of a subscription for a transport that pulls: each reader reads at its own pace from a
 * mailbox, and all that selected the same share what was rendered.
 */
export class Payloads extends EndingIterator<StreamedResult> {
  readonly #mailbox: Mailbox<ContractUpdate>;
  readonly #projection: Projection;
  readonly #place: SubscriptionPlace;

  /** @param place what the subscription has taken, which it gives back when it ends */
  constructor(hub: ContractHub, place: SubscriptionPlace) {
    super();
    const { wish, projection } = place;
    this.#place = place;
    this.#projection = projection;
    this.#mailbox = subscribeToContracts(hub, wish, (state) => projection.reads(state));
  }

  async next(): Promise<IteratorResult<StreamedResult, undefined>> {
    for (;;) {
      const { value, done } = await this.#mailbox.next();
      if (done) {
        this.end();
        return { value: undefined, done: true };
      }
      const result = this.#resultOf(value);
      if (result !== undefined) return { value: result, done: false };
    }
  }

  /** `undefined` where there is nothing to tell after all. */
  #resultOf(update: ContractUpdate): StreamedResult | undefined {
    const projection = this.#projection;
    if ('refused' in update) {
      return { json: projection.refusal(forbiddenContract(update.key)), cursor: undefined };
    }
    if (!(update instanceof Batch)) {
      return { json: projection.payload(update), cursor: update.cursor };
    }
    const states = update.take();
    const last = states.at(-1);
    if (last === undefined || !(projection instanceof BatchProjection)) return undefined;
    return { json: projection.bundle(states), cursor: last.cursor };
  }

  end(): void {
    this.#mailbox.end();
    this.#place.giveBack();
  }
}
