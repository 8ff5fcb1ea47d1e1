import type { Principal } from '../access/principal.ts';
import type { ConnectionQuota } from '../access/quota.ts';
import type { SharedSubscription } from '../access/shared-places.ts';
import type { ContractHub } from '../hub/hub.ts';
import type { Endable } from '../hub/open-subscriptions.ts';
import { EndingIterator } from '../lib/ending-iterator.ts';
import { Mailbox } from '../lib/mailbox.ts';
import type { StatusFollower, StatusUpdates } from './status-updates.ts';
import type { StatusView } from './status-view.ts';
import type { StreamedResult } from './streamed-result.ts';

/** A subscription to the gateway's own state that may be opened. */
export class AdmittedStatusUpdates {
  readonly kind = 'subscription';
  readonly #updates: StatusUpdates;
  readonly #view: StatusView;
  readonly #who: () => Principal;

  constructor(updates: StatusUpdates, view: StatusView, who: () => Principal) {
    this.#updates = updates;
    this.#view = view;
    this.#who = who;
  }

  /**
   * What {@link take} is about to take is taken from what all processes may together.
   *
   * @returns `undefined` where this process is alone
   * @throws LimitExceeded where it would be too much
   */
  reserve(quota: ConnectionQuota): Promise<SharedSubscription> | undefined {
    return quota.reserve([], this.#view);
  }

  /**
   * Takes what the subscription uses of its connection.
   *
   * @param reserved what {@link reserve} has taken, given back with the place, or at once where this throws
   *
   * @throws LimitExceeded where it would be too much
   * @throws AccessRefused where the principal is not let in any more
   */
  take(quota: ConnectionQuota, _resume?: string, reserved?: SharedSubscription): StatusPlace {
    try {
      this.#who();
      quota.subscribe([], this.#view);
    } catch (error) {
      reserved?.giveBack();
      throw error;
    }
    return new StatusPlace(quota, this.#updates, this.#view, this.#who, reserved);
  }
}

/** What a subscription has taken of its connection; its owner gives it back once, however it ends. */
export class StatusPlace {
  readonly kind = 'status';
  readonly #reserved: SharedSubscription | undefined;
  #quota: ConnectionQuota | undefined;

  constructor(
    quota: ConnectionQuota,
    readonly updates: StatusUpdates,
    readonly view: StatusView,
    readonly who: () => Principal,
    reserved?: SharedSubscription,
  ) {
    this.#quota = quota;
    this.#reserved = reserved;
  }

  /** Gives it back; harmless when repeated. */
  giveBack(): void {
    const quota = this.#quota;
    this.#quota = undefined;
    if (quota === undefined) return;
    quota.unsubscribe([], this.view);
    this.#reserved?.giveBack();
  }
}

/** A subscription to the gateway's own state, from its place to its end. */
export abstract class StatusSubscription implements StatusFollower, Endable {
  readonly view: StatusView;
  readonly #hub: ContractHub;
  readonly #place: StatusPlace;

  constructor(hub: ContractHub, place: StatusPlace) {
    this.view = place.view;
    this.#hub = hub;
    this.#place = place;
    hub.open.add(this);
  }

  abstract tell(json: Buffer): boolean;

  /** The hub has closed: nothing else can come. */
  abstract end(): void;

  isOperator(): boolean {
    return this.#place.who().operator;
  }

  /** Begins with how it is now. */
  open(): void {
    try {
      this.#place.updates.follow(this);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Gives back what it has; harmless when repeated. */
  close(): void {
    this.#place.updates.leave(this);
    this.#hub.open.delete(this);
    this.#place.giveBack();
  }
}

/** The results of a subscription for a transport that pulls: the newest one waits. */
export class StatusResults extends EndingIterator<StreamedResult> {
  readonly #mailbox: Mailbox<StreamedResult & { readonly key: string }>;

  constructor(hub: ContractHub, place: StatusPlace) {
    super();
    const subscription = new MailboxStatus(hub, place);
    this.#mailbox = subscription.mailbox;
    subscription.open();
  }

  next(): Promise<IteratorResult<StreamedResult, undefined>> {
    return this.#mailbox.next();
  }

  end(): void {
    this.#mailbox.end();
  }
}

class MailboxStatus extends StatusSubscription {
  readonly mailbox = new Mailbox<StreamedResult & { readonly key: string }>(() => this.close(), 0);

  tell(json: Buffer): boolean {
    this.mailbox.push({ key: 'status', json, cursor: undefined });
    return true;
  }

  end(): void {
    this.mailbox.end();
  }
}
