import type { GraphQLError } from 'graphql';
import type { ContractState } from '../hub/contract-state.ts';
import type { RenderedStates } from './rendered-states.ts';

const NOTHING = Buffer.alloc(0);

/**
 * What clients see of a contract's states: the selection under `contractUpdates`, shared by all clients
 * who selected the same, in whatever words. A state is rendered once for all of them.
 */
export class Projection {
  readonly #responseKey: string;
  readonly #render: (state: ContractState) => string;
  readonly #rendered: () => void;
  /** Most states are rendered and sent to everybody before the next one comes. */
  #lastState: ContractState | undefined;
  #lastPayload: Buffer = NOTHING;
  readonly #payloads: RenderedStates<Buffer>;
  readonly #renderer: number;
  readonly #usage: (isUsed: boolean) => void;
  readonly #steady: ((state: ContractState) => string) | undefined;
  readonly #readsSince: (state: ContractState) => number;
  #lastRead: ContractState | undefined;
  #lastReads = '';
  #users = 0;
  /** What is selected, as a text that tells it from other selections. */
  readonly selection: string;

  /**
   * @param selection what is selected, as a text that tells it from other selections
   * @param payloads where all projections keep what they have rendered
   * @param rendered called for each state that is rendered
   * @param usage told of the first user and that the last one has gone
   * @param steady writes what counts as a change of a state, where that is less than the answer
   * @param since since which offset that has been as it is
   */
  constructor(
    selection: string,
    responseKey: string,
    render: (state: ContractState) => string,
    payloads: RenderedStates<Buffer>,
    rendered: () => void,
    usage: (isUsed: boolean) => void = () => {},
    steady?: (state: ContractState) => string,
    since: (state: ContractState) => number = ({ position }) => position.offset,
  ) {
    this.selection = selection;
    this.#responseKey = responseKey;
    this.#render = render;
    this.#payloads = payloads;
    this.#renderer = payloads.register();
    this.#rendered = rendered;
    this.#usage = usage;
    this.#steady = steady;
    this.#readsSince = since;
  }

  /** A subscription sees states through this, until it says {@link release}. */
  acquire(): void {
    if (this.#users++ === 0) this.#usage(true);
  }

  /** A subscription that acquired this has ended. */
  release(): void {
    if (--this.#users > 0) return;
    this.rest();
    this.#usage(false);
  }

  /** Nobody uses it: lets go of what it was last asked for. */
  protected rest(): void {
    this.#lastState = undefined;
    this.#lastPayload = NOTHING;
    this.#lastRead = undefined;
    this.#lastReads = '';
  }

  /** The answer for a state: the JSON text of an execution result, UTF-8. Never to be written to. */
  payload(state: ContractState): Buffer {
    if (state === this.#lastState) return this.#lastPayload;
    let payload = this.#payloads.get(state, this.#renderer);
    if (payload === undefined) {
      this.#rendered();
      payload = Buffer.from(this.#render(state), 'utf8');
      this.#payloads.set(state, this.#renderer, payload);
    }
    this.#lastState = state;
    this.#lastPayload = payload;
    return payload;
  }

  /** A string that differs where the answer does, but for what is no change of a contract. */
  reads(state: ContractState): string {
    if (this.#steady === undefined) return this.payload(state).toString('latin1');
    if (state !== this.#lastRead) {
      this.#lastReads = this.#steady(state);
      this.#lastRead = state;
    }
    return this.#lastReads;
  }

  /** Since which offset at the latest the answer for a state has been as it is, but for what is no change. */
  get readsSince(): (state: ContractState) => number {
    return this.#readsSince;
  }

  /** The answer that tells of an error in a contract's place. */
  refusal({ message, extensions }: GraphQLError): Buffer {
    const error = { message, path: [this.#responseKey], extensions };
    return Buffer.from(JSON.stringify({ data: null, errors: [error] }));
  }
}
