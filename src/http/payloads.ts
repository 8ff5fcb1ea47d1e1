import { subscribeToContracts } from '../hub/contract-subscription.ts';
import type { ContractUpdate } from '../hub/contract-updates.ts';
import type { ContractHub } from '../hub/hub.ts';
import type { Mailbox } from '../hub/mailbox.ts';
import { EndingIterator } from '../lib/ending-iterator.ts';
import type { SubscriptionPlace } from '../operation/admitted-subscription.ts';
import type { Projection } from '../render/projection.ts';
import { forbiddenContract } from '../schema/coded-error.ts';
import type { StreamedResult } from './stream-formats.ts';

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
    const { value, done } = await this.#mailbox.next();
    if (done) {
      this.end();
      return { value: undefined, done: true };
    }
    const result =
      'refused' in value
        ? { json: this.#projection.refusal(forbiddenContract(value.key)), cursor: undefined }
        : { json: this.#projection.payload(value), cursor: value.cursor };
    return { value: result, done: false };
  }

  end(): void {
    this.#mailbox.end();
    this.#place.giveBack();
  }
}
