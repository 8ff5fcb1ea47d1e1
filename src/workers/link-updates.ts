import type { ContractKey } from '../contract/key.ts';
import { once } from '../lib/once.ts';
import type { HeldContract } from './held-contract.ts';
import type { Channel } from './link/channel.ts';

/** Above so many bytes that a worker has not taken it gets only what is newest, contract by contract. */
const CLOGGED_BYTES = 1024 * 1024;

/** What a worker has not been told of a contract. */
interface Untold {
  /** The end of a contract that it knows. */
  letGo: Buffer | undefined;
  /** It does not know that the contract is held. */
  joined: boolean;
  /** There is another state. */
  state: boolean;
}

/** One change for all workers, as a frame. */
export interface Change {
  readonly key: ContractKey;
  readonly kind: 'state' | 'status' | 'joined' | 'letGo';
  readonly frame: Buffer;
}

/**
 * What one worker is told. While it takes what is written it is told every change; behind that, the newest of
 * each contract, in the order of change. So a worker that takes nothing costs a bounded number of bytes.
 */
export class LinkUpdates {
  readonly #channel: Channel;
  readonly #held: ReadonlyMap<ContractKey, HeldContract>;
  readonly #untold = new Map<ContractKey, Untold>();
  readonly #level: () => void;
  #state: 'flowing' | 'clogged' = 'clogged';

  /**
   * @param held the contracts there are, all of which the worker is told first
   * @param level called once the worker has been told everything for the first time
   */
  constructor(channel: Channel, held: ReadonlyMap<ContractKey, HeldContract>, level: () => void) {
    this.#channel = channel;
    this.#held = held;
    this.#level = once(level);
    const contracts = [...held.values()].sort((one, other) => one.offset - other.offset);
    for (const { key } of contracts) {
      this.#untold.set(key, { letGo: undefined, joined: true, state: true });
    }
    channel.onDrained(() => this.#catchUp());
    this.#catchUp();
  }

  /** @param frames those of all the changes, in one piece */
  tell(changes: readonly Change[], frames: Buffer): void {
    if (this.#state === 'flowing') {
      this.#channel.write(frames);
      if (this.#channel.unsentBytes > CLOGGED_BYTES) this.#state = 'clogged';
      return;
    }
    for (const change of changes) this.#putOff(change);
  }

  /** Tells what is known of contracts now, before whatever is written next. */
  tellNow(keys: readonly ContractKey[]): void {
    for (const key of keys) if (this.#untold.has(key)) this.#tellOne(key);
  }

  /** The worker is told of a contract as if it knew nothing of it. */
  tellAnew(key: ContractKey): void {
    const contract = this.#held.get(key);
    if (contract === undefined) return;
    this.#untold.delete(key);
    this.#channel.write(contract.joined());
  }

  #putOff({ key, kind, frame }: Change): void {
    const untold = this.#untold.get(key) ?? { letGo: undefined, joined: false, state: false };
    // What changes last is told last.
    this.#untold.delete(key);
    if (kind === 'letGo') {
      const isNews = !untold.joined || untold.letGo !== undefined;
      if (isNews) this.#untold.set(key, { letGo: frame, joined: false, state: false });
      return;
    }
    if (kind === 'joined') untold.joined = true;
    if (kind !== 'status') untold.state = true;
    this.#untold.set(key, untold);
  }

  #catchUp(): void {
    for (const key of this.#untold.keys()) {
      if (this.#channel.unsentBytes > CLOGGED_BYTES) return;
      this.#tellOne(key);
    }
    this.#state = 'flowing';
    this.#level();
  }

  #tellOne(key: ContractKey): void {
    const untold = this.#untold.get(key);
    const contract = this.#held.get(key);
    this.#untold.delete(key);
    if (untold?.letGo !== undefined) this.#channel.write(untold.letGo);
    if (untold === undefined || contract === undefined) return;
    if (untold.joined) this.#channel.write(contract.joined());
    else if (untold.letGo === undefined) this.#channel.write(contract.known(untold.state));
  }
}
