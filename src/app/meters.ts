import { Counter, Gauge, type Registry } from 'prom-client';

/** What every process of a gateway says alike, and is not added up. */
const OF_ALL = /^(?:info|ready|contracts|upstream_\w+)$/;

/** Reads a value, or values by their label. */
export type Reader = () => number | Readonly<Record<string, number>>;

/** Metrics that are read when they are asked for. */
export class Meters {
  readonly #registry: Registry;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** A value that goes up and down. @param label what tells several values from each other */
  gauge(name: string, help: string, label: string | undefined, read: Reader): void {
    const gauge = new Gauge({
      ...this.#about(name, help, label),
      collect() {
        gauge.reset();
        each(label, read(), (labels, value) => gauge.set(labels, value));
      },
    });
  }

  /** A value that only goes up. @param label what tells several values from each other */
  counter(name: string, help: string, label: string | undefined, read: Reader): void {
    const counter = new Counter({
      ...this.#about(name, help, label),
      collect() {
        counter.reset();
        each(label, read(), (labels, value) => counter.inc(labels, value));
      },
    });
  }

  #about(name: string, help: string, label: string | undefined) {
    return {
      name: `ime_gateway_${name}`,
      help,
      aggregator: OF_ALL.test(name) ? ('first' as const) : ('sum' as const),
      labelNames: label === undefined ? [] : [label],
      registers: [this.#registry],
    };
  }
}

function each(
  label: string | undefined,
  read: number | Readonly<Record<string, number>>,
  put: (labels: Record<string, string>, value: number) => void,
): void {
  if (typeof read === 'number') put({}, read);
  else for (const [name, value] of Object.entries(read)) put({ [label ?? '']: name }, value);
}
