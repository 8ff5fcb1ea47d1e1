import { type ContractKey, contractKey } from '../contract/key.ts';
import type { LocalTimeZone } from '../contract/local-time.ts';
import type { NumberStyle } from '../ime/protocol/encode.ts';
import type { AuthorizationForm } from '../ime/protocol/endpoints.ts';
import { Exchange } from './exchange.ts';
import type { LoginDoor } from './login-door.ts';
import { SimulatedMarket } from './market.ts';

/** How a simulator is set up. */
export interface SimulatorOptions {
  /** The market's seed: the same seed makes the same market. */
  readonly seed: number;
  /** Changes a second, over all contracts. */
  readonly updatesPerSecond: number;
  readonly token: string | undefined;
  /** Who logs in gets a token. */
  readonly login?: LoginDoor | undefined;
  readonly authorization?: AuthorizationForm | 'any';
  readonly numbers?: NumberStyle;
  readonly refuse: 'before' | 'after';
  readonly zone: LocalTimeZone;
}

/** The base path of the simulator's endpoints, as that of the real service. */
const SIMULATOR_BASE_PATH = '/data-engine/ime';
/** How soon a contract that has never been published opens after it was subscribed to. */
const OPENING_MS = 100;
/** Changes before the simulator starts, so that its day is under way: most contracts have traded. */
const WARM_UP_STEPS = 2_000;
/** How often the market moves; faster markets take several steps at a time. */
const PULSE_MS = 20;

/** A synthetic IME: an exchange over real sockets whose contracts move by a seeded random walk. */
export class Simulator {
  readonly exchange: Exchange;
  readonly #market: SimulatedMarket;
  readonly #zone: LocalTimeZone;
  readonly #updatesPerSecond: number;
  readonly #keys: readonly (readonly ContractKey[])[];
  readonly #places = new Map<ContractKey, number>();
  readonly #opened = new Set<ContractKey>();
  #opening: ContractKey[] = [];
  #pulse: NodeJS.Timeout | undefined;
  #openingTimer: NodeJS.Timeout | undefined;

  constructor(options: SimulatorOptions) {
    this.#zone = options.zone;
    this.#updatesPerSecond = options.updatesPerSecond;
    this.#market = new SimulatedMarket(options.seed);
    for (let step = 0; step < WARM_UP_STEPS; step++) this.#market.step();
    this.#keys = this.#market.contracts.map(({ name, id }) => [
      contractKey('name', name),
      contractKey('id', id),
    ]);
    for (const [place, keys] of this.#keys.entries()) {
      for (const key of keys) this.#places.set(key, place);
    }
    this.exchange = new Exchange({
      basePath: SIMULATOR_BASE_PATH,
      token: options.token,
      login: options.login,
      cutsAtEnd: true,
      authorization: options.authorization ?? 'any',
      numbers: options.numbers ?? 'plain',
      refuse: options.refuse,
      lists: (key) => this.#places.has(key),
      onSubscribed: (keys) => this.#open(keys),
    });
  }

  /** Every contract, by name and by ID. */
  get keys(): readonly ContractKey[] {
    return this.#keys.flat();
  }

  /** The names of its contracts, those first that change most often. */
  get busiestNames(): readonly string[] {
    const { contracts } = this.#market;
    return [...contracts].sort((a, b) => b.activity - a.activity).map(({ name }) => name);
  }

  /**
   * Listens and lets the market move.
   *
   * @returns the base URL for clients
   * @throws where the port cannot be had
   */
  async listen(port: number, host?: string): Promise<string> {
    const url = await this.exchange.listen(port, host);
    const startedMs = performance.now();
    let steps = 0;
    this.#pulse = setInterval(() => {
      const due = ((performance.now() - startedMs) / 1000) * this.#updatesPerSecond;
      // After a pause of the process the market goes on; it does not catch up.
      if (due - steps > this.#updatesPerSecond) steps = Math.floor(due);
      for (; steps < due; steps++) {
        const place = this.#market.step();
        this.#publish(place, this.#keys[place] ?? []);
      }
    }, PULSE_MS);
    return url;
  }

  async close(): Promise<void> {
    clearInterval(this.#pulse);
    clearTimeout(this.#openingTimer);
    await this.exchange.close();
  }

  /** A contract's first state comes soon after somebody first asks for it, as at an opening. */
  #open(keys: readonly ContractKey[]): void {
    for (const key of keys) {
      if (this.#opened.has(key)) continue;
      this.#opened.add(key);
      this.#opening.push(key);
    }
    if (this.#opening.length === 0 || this.#openingTimer !== undefined) return;
    this.#openingTimer = setTimeout(() => {
      this.#openingTimer = undefined;
      const opening = this.#opening;
      this.#opening = [];
      for (const key of opening) this.#publish(this.#places.get(key) ?? 0, [key]);
    }, OPENING_MS);
  }

  #publish(place: number, keys: readonly ContractKey[]): void {
    const now = this.#zone.toLocal(Date.now());
    this.exchange.publish(keys, now, this.#market.state(place, now));
  }
}
