import type { SeededRandom } from '../../src/simulator/random.ts';

/** An operation that is small, or at least within the limits, and asks for as much work as it can. */
export interface HeavyOperation {
  readonly name: string;
  readonly payload: Readonly<Record<string, unknown>>;
  /** Whether it has to be refused, which is a short answer. */
  readonly isRefused?: boolean;
}

const LEAVES: Readonly<Record<string, readonly string[]>> = {
  Contract: ['id', 'name', 'contractId', 'status', 'statusSince', 'statusReason', 'statusCode'],
  Snapshot: [
    'sequence',
    'timestamp',
    'receivedAt',
    'raw',
    'spread',
    'midPrice',
    'lastPriceChange',
    'lastPriceChangePercent',
  ],
  Aggregate: ['date', 'time', 'tradeCount', 'totalVolume', 'totalValue', 'lastPrice', 'openPrice'],
  BestLimit: ['level', 'buyQuantity', 'buyPrice', 'sellQuantity', 'sellPrice'],
  __Type: ['kind', 'name', 'description'],
};
const BELOW: Readonly<Record<string, readonly [string, string][]>> = {
  Contract: [['snapshot', 'Snapshot']],
  Snapshot: [
    ['aggregate', 'Aggregate'],
    ['bestLimits', 'BestLimit'],
  ],
  __Type: [
    ['fields{type', '__Type'],
    ['ofType', '__Type'],
    ['interfaces', '__Type'],
    ['possibleTypes', '__Type'],
  ],
};

/**
 * Draws heavy operations: documents of one of a few shapes whose sizes are drawn, so that a bound that counts
 * one thing is met with many of another. Each differs from all before it, and no cache helps.
 */
export class HeavyOperations {
  readonly #random: SeededRandom;
  #drawn = 0;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** Those that are known to have been too much, and then whatever is drawn. */
  next(): HeavyOperation {
    this.#drawn++;
    const known = this.#known()[this.#drawn - 1];
    if (known !== undefined) return known();
    return this.#pick([
      () => this.#bomb(),
      () => this.#bomb(),
      () => this.#wide(),
      () => this.#fragments(),
      () => this.#costly(),
      () => this.#costly(),
      () => this.#introspection(),
      () => this.#names(),
      () => this.#longNames(),
      () => this.#faulty(),
      () => this.#variables(),
      () => this.#texts(),
    ])();
  }

  #known(): readonly (() => HeavyOperation)[] {
    const leaves = (count: number, leaf: string) => this.#many(count, (at) => `a${at}:${leaf}`);
    const roots = (count: number, root: string) => this.#many(count, (at) => `r${at}:${root}`);
    const name = 'n'.repeat(250);
    const repeated = Array.from({ length: 500 }, () => name);
    return [
      () => this.#longAlias(5_000),
      () => this.#longAlias(100_000),
      () =>
        this.#query(
          'a book under many aliases',
          `{${roots(9, 'contracts{...F}')}}fragment F on Contract{snapshot{${leaves(10, 'bestLimits{level buyPrice sellPrice buyQuantity sellQuantity}')}}}`,
        ),
      () =>
        this.#query(
          'long names under many aliases',
          `query($n:[String!]){${roots(15, 'contracts(names:$n,waitMs:0){...F}')}}fragment F on Contract{${leaves(14, 'id')}}`,
          { n: repeated },
        ),
      () =>
        this.#query(
          'the schema under many aliases',
          `{${roots(15, '__schema{types{...F}}')}}fragment F on __Type{fields{${leaves(14, 'name')} args{name type{name}}}}`,
        ),
      () =>
        this.#query(
          'as many leaves as may be',
          `{status{ready}${roots(12, 'contracts{...F}')}}fragment F on Contract{snapshot{${leaves(14, 'timestamp')} sequence receivedAt aggregate{date time tradeCount totalVolume totalValue lastPrice openPrice} contractInfo{openInterest}}}`,
        ),
      () =>
        this.#query(
          'a list for many fields',
          `query($n:[String!]){${roots(30, 'contracts(names:$n,waitMs:0){id}')}}`,
          { n: Array.from({ length: 499 }, (_, at) => `q${at % 90}`) },
        ),
      ...['u', '\u0001'].map((start) => () => {
        const names = Array.from({ length: 500 }, (_, at) => `${start}${at}`);
        const lists = roots(10, 'contracts(names:$n,waitMs:0){id}');
        return this.#query('errors in many lists', `query($n:[String!]){${lists}}`, { n: names });
      }),
    ];
  }

  #longAlias(characters: number): HeavyOperation {
    const heavy = this.#query(
      `an alias of ${characters} characters`,
      `query($n:[String!]){contracts(names:$n,waitMs:0){${'n'.repeat(characters)}:id}}`,
      { n: Array.from({ length: 500 }, () => 'c1') },
    );
    return { ...heavy, isRefused: characters > 256 };
  }

  /** Fragments that spread each other many times, in width and in depth. */
  #bomb(): HeavyOperation {
    const depth = this.#from(2, 5);
    const width = this.#from(2, Math.floor(900 / depth));
    const type = this.#pick(['Contract', 'Snapshot', 'Aggregate', 'BestLimit'] as const);
    const leaf = this.#pick(LEAVES[type] ?? ['__typename']);
    const wrap = this.#pick([
      (text: string) => text,
      (text: string) => `...{${text}}`,
      (text: string) => `...on ${type}@include(if:true){${text}}`,
    ]);
    const fragments = Array.from({ length: depth }, (_, at) => {
      const body =
        at === depth - 1 ? ` ${leaf}`.repeat(width) : wrap(`...F${at + 1}`).repeat(width);
      return `fragment F${at} on ${type}{${body}}`;
    });
    const inside = this.#inside(type, wrap('...F0').repeat(width));
    return this.#query(
      `a bomb of ${depth} fragments`,
      `{contracts{${inside}}} ${fragments.join(' ')}`,
    );
  }

  /** Equal fields side by side, which have to be compared and merged. */
  #wide(): HeavyOperation {
    const type = this.#pick(['Contract', 'Snapshot', 'Aggregate', 'BestLimit'] as const);
    const field = this.#pick([
      '__typename',
      this.#pick(LEAVES[type] ?? []),
      this.#below(type, this.#from(1, 4)),
    ]);
    const times = Math.floor(1_900 / (field.match(/\w+|[{}]/g)?.length ?? 1));
    return this.#query(
      'a wide document',
      `{contracts{${this.#inside(type, `${field} `.repeat(times))}}}`,
    );
  }

  /** Many fragments that select the same, each of which is compared with every other. */
  #fragments(): HeavyOperation {
    const count = this.#from(2, 150);
    const fields = Math.max(1, Math.floor((1_900 - 11 * count) / count));
    const type = this.#pick(['Contract', 'Snapshot', 'Aggregate', 'BestLimit'] as const);
    const leaf = this.#pick(LEAVES[type] ?? []);
    const body = `${leaf} `.repeat(this.#from(1, fields));
    return this.#query(
      `${count} equal fragments`,
      `{contracts{${this.#inside(
        type,
        this.#many(count, (at) => `...F${at}`),
      )}}} ${this.#many(count, (at) => `fragment F${at} on ${type}{${body}}`)}`,
    );
  }

  /** As much as an answer may cost, or a little more: lists of lists under many aliases. */
  #costly(): HeavyOperation {
    const roots = this.#from(1, 15);
    const aliases = this.#from(1, 29 - roots);
    const type = this.#pick(['Contract', 'Snapshot', 'Aggregate', 'BestLimit'] as const);
    const fields = this.#pick([LEAVES[type] ?? [], [this.#pick(LEAVES[type] ?? [])]]).join(' ');
    const [open, close] = this.#nested(type);
    const key = 'k'.repeat(this.#from(1, 40));
    const leaf = this.#pick(LEAVES[type] ?? []);
    const aliased = this.#many(aliases, (at) => `${key}${at}:${leaf}`);
    const beside = this.#random.chance(0.5) ? 'status{ready uptimeSeconds}' : '';
    const root = this.#pick(['contracts', 'contracts(names:$n)', 'contracts(names:$n,waitMs:0)']);
    return this.#query(
      'a costly query',
      `query($n:[String!]){${beside} x${this.#drawn}:__typename ${this.#many(roots, (at) => `r${at}:${root}{...F}`)}} fragment F on Contract{${open}${fields} ${aliased}${close}}`,
      { n: Array.from({ length: this.#from(1, 500) }, (_, at) => `c${at}`) },
    );
  }

  #introspection(): HeavyOperation {
    const roots = this.#from(1, 15);
    const aliases = this.#from(1, 29 - roots);
    const path = this.#pick([
      ['types{', '}'],
      ['types{fields{type{', '}}}'],
      ['types{fields{args{type{', '}}}}'],
      ['types{fields{type{fields{type{', '}}}}}'],
      ['types{possibleTypes{fields{type{', '}}}}'],
    ]);
    const leaf = this.#pick(LEAVES['__Type'] ?? []);
    const aliased = this.#many(aliases, (at) => `t${at}:${leaf}`);
    return this.#query(
      'introspection again and again',
      `{${this.#many(roots, (at) => `s${at}:__schema{${path[0]}...F${path[1]}}`)}} fragment F on __Type{${aliased}}`,
    );
  }

  /** One list of contracts that many fields ask for. */
  #names(): HeavyOperation {
    const length = this.#pick([1, 499, 500, 501, 5_000, 20_000]);
    const names = Array.from({ length }, (_, at) => `${at % this.#pick([1, 7, 500])}`);
    const root = this.#pick([
      'contracts(names:$n,waitMs:0)',
      'contracts(names:$n,ids:$n,waitMs:0)',
    ]);
    return this.#query(
      `a list of ${length} for many fields`,
      `query($n:[String!]){${this.#many(this.#from(1, 30), (at) => `r${at}:${root.replace('ids:$n', 'ids:["1"]')}{id}`)}}`,
      { n: names },
    );
  }

  /** Long names of all kinds, each asked back as often as can be. */
  #longNames(): HeavyOperation {
    const characters = this.#pick([200, 256, 257, 5_000, 100_000]);
    const long = this.#pick(['n', 'ن', '😀']).repeat(characters);
    const plain = 'n'.repeat(characters);
    const times = Math.max(1, Math.floor(100_000 / (long.length + 4)));
    switch (this.#from(0, 3)) {
      case 0:
        return this.#longAlias(characters);
      case 1:
        return this.#query(
          'long names many times',
          `query($n:[String!]){${this.#many(this.#from(1, 15), (at) => `r${at}:contracts(names:$n,waitMs:0){${this.#many(14, (leaf) => `i${leaf}:id`)}}`)}}`,
          { n: Array.from({ length: Math.min(500, times) }, () => long) },
        );
      case 2:
        return {
          name: 'a long operation name',
          payload: { query: `query ${plain}{__typename}`, operationName: plain },
          isRefused: characters > 256,
        };
      default:
        return this.#query('a long unknown field', `{${plain} ${plain.slice(1)}}`);
    }
  }

  /** Many faults, each of which is found and told. */
  #faulty(): HeavyOperation {
    const name = () => `f${this.#from(0, 1e6)}`;
    const fault = this.#pick([
      (at: number) => `${name()}${at}`,
      (at: number) => `...M${at}`,
      (at: number) => `contract(${name()}:${at}){id}`,
      (at: number) => `a:contract(name:"${at}"){id}`,
      (at: number) => `id@skip(if:$v${at})`,
    ]);
    return this.#query('a faulty document', `{${this.#many(this.#from(50, 900), fault)}}`);
  }

  /** JSON that is large, deep, or full of numbers beside a small document. */
  #variables(): HeavyOperation {
    const value = this.#pick<() => unknown>([
      () => '1'.repeat(this.#from(16, 100_000)),
      () => Array.from({ length: 8_000 }, () => 1e15 + this.#from(0, 1e6)),
      () => Object.fromEntries(Array.from({ length: 9_000 }, (_, at) => [`k${at}`, at])),
      () => Array.from({ length: 20_000 }, () => ({})),
      () => '\\"'.repeat(20_000) + 1e17,
    ]);
    return this.#query('large variables', 'query($n:[String!]){contracts(names:$n,waitMs:0){id}}', {
      n: value(),
    });
  }

  /** A document that is long without many tokens. */
  #texts(): HeavyOperation {
    const length = this.#from(1_000, 100_000);
    const text = this.#pick([
      `#${'x'.repeat(length)}\n{__typename}`,
      `${','.repeat(length)}{__typename}`,
      `${'\n'.repeat(length)}{__typename} }`,
      `{contract(name:"${'\\u0041'.repeat(length / 6)}"){id}}`,
      `{contract(name:"""${'\n '.repeat(length / 2)}"""){id}}`,
      `{contract(name:"${'x'.repeat(length)}){id}}`,
      `${'{a'.repeat(length / 2)}`,
      `{contracts(names:${'['.repeat(900)}${']'.repeat(900)}){id}}`,
    ]);
    return this.#query('a long document of few tokens', text);
  }

  #inside(type: string, selection: string): string {
    const [open, close] = this.#nested(type);
    return `${open}${selection}${close}`;
  }

  #nested(type: string): [string, string] {
    switch (type) {
      case 'Snapshot':
        return ['snapshot{', '}'];
      case 'Aggregate':
        return ['snapshot{aggregate{', '}}'];
      case 'BestLimit':
        return ['snapshot{bestLimits{', '}}'];
      default:
        return ['', ''];
    }
  }

  #below(type: string, levels: number): string {
    const leaf = this.#pick(LEAVES[type] ?? ['__typename']);
    const below = BELOW[type];
    if (levels === 0 || below === undefined) return leaf;
    const [field, next] = this.#pick(below);
    return `${field}{${this.#below(next, levels - 1)}}`;
  }

  #query(name: string, query: string, variables?: Record<string, unknown>): HeavyOperation {
    return { name, payload: { query: `${query}#${this.#drawn}`, ...(variables && { variables }) } };
  }

  #many(count: number, make: (at: number) => string): string {
    return Array.from({ length: count }, (_, at) => make(at)).join(' ');
  }

  #from(least: number, most: number): number {
    return this.#random.integer(least, Math.max(least, most));
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#random.integer(0, items.length - 1)] as T;
  }
}
