import { type ContractKey, keySpaceOf } from '../contract/key.ts';
import type { Position } from '../hub/position.ts';
import type { ContractSink, ContractSource, SourceReport } from '../hub/source.ts';
import type { Credential } from './credentials/credentials.ts';
import { ImePool } from './pool/pool.ts';
import { Refusals } from './refusals/refusals.ts';
import { describeEnd } from './sockets/failure.ts';
import { Reachability } from './sockets/reachability.ts';
import type { Shard, ShardFailure } from './sockets/shard.ts';
import type { Upstream } from './sockets/upstream.ts';

/** IME as the hub's source of contracts: one pool of sockets for names and one for IDs. */
export class ImeSource implements ContractSource {
  readonly #upstream: Upstream;
  readonly #refusals: Refusals;
  readonly #reachability: Reachability;
  #credential: Credential | undefined;
  readonly #pools: { readonly name: ImePool; readonly id: ImePool };

  constructor(upstream: Upstream, sink: ContractSink) {
    this.#upstream = upstream;
    this.#refusals = new Refusals(upstream, () => [this.#pools.name, this.#pools.id]);
    this.#pools = {
      name: new ImePool('name', upstream, sink, this.#refusals),
      id: new ImePool('id', upstream, sink, this.#refusals),
    };
    this.#reachability = new Reachability(upstream);
    upstream.credentials.watch(() => this.#credentialsChanged());
    this.#credentialsChanged();
  }

  /** There is another credential, or none any more, or something else is wrong with it. */
  #credentialsChanged(): void {
    const { current, isRequired } = this.#upstream.credentials;
    this.#upstream.gate.setClosed(isRequired && current === undefined);
    if (current !== this.#credential) {
      this.#credential = current;
      this.#refusals.tokenChanged();
      if (current !== undefined) for (const pool of Object.values(this.#pools)) pool.renew();
    }
    const { trouble } = this.#refusals;
    if (trouble === undefined) return;
    for (const pool of Object.values(this.#pools)) pool.feeds.tellTrouble(trouble);
  }

  retain(keys: readonly ContractKey[], asker?: string): void {
    for (const [pool, own] of this.#bySpace(keys)) pool.retain(own, asker);
  }

  askedToo(keys: readonly ContractKey[], asker: string): void {
    for (const [pool, own] of this.#bySpace(keys)) pool.askedToo(own, asker);
  }

  release(keys: readonly ContractKey[]): void {
    for (const [pool, own] of this.#bySpace(keys)) pool.release(own);
  }

  /** What others have found out of contracts that are not retained yet: what exists, and what is refused. */
  learn(proven: readonly ContractKey[], refused: readonly ContractKey[]): void {
    for (const [pool, own] of this.#bySpace(proven)) pool.feeds.learn(own, []);
    for (const [pool, own] of this.#bySpace(refused)) pool.feeds.learn([], own);
  }

  position(): Position {
    return this.#upstream.positions.next();
  }

  /** What the sockets do and what is wrong, now. */
  report(): SourceReport {
    const shards = Object.values(this.#pools).flatMap((pool) =>
      Array.from(pool.shards, (shard) => ({ shard, pool })),
    );
    return {
      sockets: shards.map(({ shard, pool }) => ({
        endpoint: pool.space === 'name' ? 'NAME' : 'ID',
        state: shard.state,
        contracts: shard.keys.size,
        openedAtMs: shard.openedAtMs ?? null,
        lastMessageAtMs: shard.lastMessageAtMs ?? null,
        reconnects: shard.reconnects,
        failure: shard.failure === undefined ? null : describeEnd(shard.failure.end),
      })),
      dials: this.#upstream.gate.dials,
      counts: this.#upstream.counts,
      credentials: this.#upstream.credentials.report(),
      problems: this.#problems(shards.map(({ shard }) => shard)),
    };
  }

  health(): readonly string[] {
    const { trouble } = this.#refusals;
    if (trouble !== undefined) return [trouble.reason];
    const shards = this.#shards();
    if (shards.some((shard) => shard.isOpen)) return [];
    if (shards.length === 0 && this.#refusals.failure === undefined) return [];
    const problems = this.#problems(shards);
    return problems.length > 0 ? problems : ['The connection to IME is being opened.'];
  }

  /** {@link health}; where nothing is wanted, whether IME can be reached at all is tried out. */
  async check(): Promise<readonly string[]> {
    const { failure, trouble } = this.#refusals;
    if (this.#shards().length > 0 || failure !== undefined || trouble !== undefined) {
      return this.health();
    }
    const fault = await this.#reachability.check();
    return fault === undefined ? [] : [fault];
  }

  /** Closes every socket and ends every timer. */
  close(): void {
    this.#refusals.close();
    this.#reachability.close();
    this.#upstream.gate.close();
    this.#upstream.credentials.close();
    for (const pool of Object.values(this.#pools)) pool.close();
  }

  #bySpace(keys: readonly ContractKey[]): [ImePool, ContractKey[]][] {
    return Object.values(this.#pools)
      .map((pool): [ImePool, ContractKey[]] => [
        pool,
        keys.filter((key) => keySpaceOf(key) === pool.space),
      ])
      .filter(([, own]) => own.length > 0);
  }

  #shards(): Shard[] {
    return Object.values(this.#pools).flatMap((pool) => [...pool.shards]);
  }

  #problems(shards: readonly Shard[]): string[] {
    const { trouble } = this.#refusals;
    const { problem } = this.#upstream.credentials;
    const problems = new Set([trouble?.reason, problem].filter((text) => text !== undefined));
    const unreadable = Object.values(this.#pools).reduce(
      (sum, pool) => sum + pool.feeds.unreadableCount,
      0,
    );
    if (unreadable > 0) {
      const contracts = unreadable === 1 ? '1 contract' : `${unreadable} contracts`;
      problems.add(`The messages of ${contracts} cannot be read.`);
    }
    const failures = shards.map(({ failure }) => failure).filter((one) => one !== undefined);
    for (const failure of failures) {
      const down = `${failures.length} of ${shards.length} connections to IME are down`;
      problems.add(wordsFor(failure, down));
    }
    const { failure } = this.#refusals;
    if (failure !== undefined) {
      problems.add(wordsFor(failure, 'IME cannot be asked why it has refused a connection'));
    }
    return [...problems];
  }
}

function wordsFor({ class: failureClass, end }: ShardFailure, otherwise: string): string {
  const said = describeEnd(end);
  if (failureClass === 'wrongUrl') {
    return `IME_URL has no such endpoint: ${said}; tried again every 5 minutes.`;
  }
  return `${otherwise}: ${said}.`;
}
