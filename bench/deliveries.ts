import { Contender, type Delivery, type Spent } from './contender.ts';
import { type Measurement, p99 } from './measurement.ts';
import { previous } from './options.ts';
import { isAsked, outcomeOf, type Report, type Row } from './row.ts';
import type { ServerKind } from './servers.ts';

const WINDOWS = 8;
/** A p99 of one update at a time is that of the slowest 1 of 100 publications: it takes more of them. */
const LATENCY_WINDOWS = 16;
/** The first windows are not counted: what delivers becomes warm in them. */
const UNCOUNTED_WINDOWS = 2;
const WINDOW_MS = 2_500;
/** The first publications of a window find everything cold: they are not counted. */
const LEAD_IN_MS = 300;

/** A server in a row of deliveries. */
interface Entrant {
  readonly name: string;
  readonly kind: ServerKind;
  readonly delivery: Delivery;
}

/**
 * Measures servers that are there at once, each for some seconds at a time and in turn, so that whatever the
 * machine does meanwhile falls on all alike: it becomes 15 % slower and faster again within minutes.
 *
 * @returns what each has spent in the windows that count, or what went wrong
 */
async function alternate(
  entrants: readonly Entrant[],
  windows = WINDOWS,
): Promise<Map<string, Spent | Error>> {
  const spent = new Map<string, Spent | Error>();
  const contenders = new Map<Entrant, Contender>();
  try {
    for (const entrant of entrants) {
      const contender = await outcomeOf(Contender.start(entrant.kind, entrant.delivery));
      if (contender instanceof Error) spent.set(entrant.name, contender);
      else contenders.set(entrant, contender);
    }
    for (let window = 0; window < windows; window++) {
      for (const [{ name, delivery }, contender] of contenders) {
        const last = spent.get(name);
        if (last instanceof Error) continue;
        const more = await outcomeOf(oneWindow(contender, delivery));
        const isCounted = window >= UNCOUNTED_WINDOWS;
        if (more instanceof Error) spent.set(name, more);
        else if (isCounted) spent.set(name, last === undefined ? more : sum(last, more));
      }
    }
  } finally {
    for (const contender of contenders.values()) contender.close();
  }
  return spent;
}

async function oneWindow(contender: Contender, { everyMs }: Delivery): Promise<Spent> {
  await contender.deliver(Math.max(1, Math.round(LEAD_IN_MS / everyMs)));
  return contender.deliver(Math.max(2, Math.round(WINDOW_MS / everyMs)));
}

function sum(one: Spent, other: Spent): Spent {
  return {
    cpuSeconds: one.cpuSeconds + other.cpuSeconds,
    frames: one.frames + other.frames,
    messages: one.messages + other.messages,
    latenciesMs: [...one.latenciesMs, ...other.latenciesMs],
  };
}

/** CPU time for each delivered frame, in microseconds. */
function ofFrame({ cpuSeconds, frames }: Spent): Measurement {
  return { value: (cpuSeconds / frames) * 1e6 };
}

/** Those of a row that are measured, another build of the gateway with the first one's delivery among them. */
function measuredOf(all: readonly Entrant[]): readonly Entrant[] {
  const [first, ...others] = all;
  if (previous === undefined || first === undefined) return all;
  return [
    first,
    { ...first, name: 'previous', kind: 'previous' },
    ...others.filter(({ kind }) => isAsked(kind)),
  ];
}

function subjectsOf(entrants: readonly Entrant[]): Row['subjects'] {
  return entrants.map(({ name, kind }) => ({ name, isBaseline: kind !== 'gateway' }));
}

/** The row of some servers' CPU time a frame. */
function cpuOfFrames(title: string, all: readonly Entrant[]): Row {
  const entrants = measuredOf(all);
  return {
    title,
    unit: 'µs CPU a frame',
    subjects: subjectsOf(entrants),
    measure: async (report) => {
      for (const [name, spent] of await alternate(entrants)) {
        report(name, spent instanceof Error ? spent : ofFrame(spent));
      }
    },
  };
}

/** The row of the time from publication to receipt that 99 of 100 frames do not exceed. */
function latencyOfFrames(title: string, all: readonly Entrant[]): Row {
  const entrants = measuredOf(all);
  return {
    title,
    unit: 'ms',
    subjects: subjectsOf(entrants),
    measure: async (report) => {
      for (const [name, spent] of await alternate(entrants, LATENCY_WINDOWS)) {
        report(name, spent instanceof Error ? spent : { value: p99([...spent.latenciesMs]) });
      }
    },
  };
}

/** The row of CPU time a frame, less what the same messages cost a gateway without a client. */
function cpuBeyondMessages(title: string, entrants: readonly Entrant[]): Row {
  const clientless = 'gateway without a client';
  return {
    title,
    unit: 'µs CPU a frame',
    subjects: subjectsOf(entrants),
    measure: async (report: Report) => {
      const delivery = { ...(entrants[0] as Entrant).delivery, clients: 0 };
      const spent = await alternate([...entrants, { name: clientless, kind: 'gateway', delivery }]);
      const base = spent.get(clientless) as Spent | Error;
      for (const { name } of entrants) {
        const own = spent.get(name) as Spent | Error;
        if (own instanceof Error) report(name, own);
        else if (base instanceof Error) report(name, base);
        else {
          const ofMessages = (base.cpuSeconds / base.messages) * own.messages;
          report(name, ofFrame({ ...own, cpuSeconds: own.cpuSeconds - ofMessages }));
        }
      }
    },
  };
}

const ONE: Delivery = { together: 1, everyMs: 50, clients: 1_000 };
/** About the most that the relay can. */
const TEN: Delivery = { together: 10, everyMs: 100, clients: 1_000 };
/** As many frames as one at a time. */
const TEN_CALM: Delivery = { ...TEN, everyMs: 500 };
/** Plain Yoga and Mercurius get fewer messages: with these they would need more than their core. */
const ONE_SELDOM: Delivery = { ...ONE, everyMs: 200 };
const TEN_SELDOM: Delivery = { ...TEN, everyMs: 1_500 };

/** The rows about what a delivered frame costs. */
export const DELIVERIES: readonly Row[] = [
  cpuOfFrames('One update at a time, 20,000 frames a second, 1,000 clients, one selection', [
    { name: 'gateway', kind: 'gateway', delivery: ONE },
    { name: 'relay', kind: 'relay', delivery: ONE },
    { name: 'yoga', kind: 'yoga', delivery: ONE_SELDOM },
    { name: 'mercurius', kind: 'mercurius', delivery: ONE_SELDOM },
    {
      name: 'gateway, 1,000 different lists of contracts',
      kind: 'gateway',
      delivery: { ...ONE, ownList: true },
    },
    {
      name: 'gateway, 100 distinct selections',
      kind: 'gateway',
      delivery: { ...ONE, selections: 100 },
    },
    {
      name: 'gateway, 4,000 more subscriptions that receive nothing',
      kind: 'gateway',
      delivery: { ...ONE, quietClients: 4_000 },
    },
  ]),
  cpuOfFrames('Ten contracts in a tick, 100,000 frames a second, 1,000 clients, one selection', [
    { name: 'gateway', kind: 'gateway', delivery: TEN },
    { name: 'relay', kind: 'relay', delivery: TEN },
    { name: 'yoga', kind: 'yoga', delivery: TEN_SELDOM },
    { name: 'mercurius', kind: 'mercurius', delivery: TEN_SELDOM },
    {
      name: 'gateway, 100 distinct selections',
      kind: 'gateway',
      delivery: { ...TEN, selections: 100 },
    },
  ]),
  cpuOfFrames('Ten contracts in a tick, 20,000 frames a second, 1,000 clients, one selection', [
    { name: 'gateway', kind: 'gateway', delivery: TEN_CALM },
    { name: 'relay', kind: 'relay', delivery: TEN_CALM },
  ]),
  latencyOfFrames('p99 latency of one update at a time, 20,000 frames a second, 1,000 clients', [
    { name: 'gateway', kind: 'gateway', delivery: ONE },
    { name: 'relay', kind: 'relay', delivery: ONE },
  ]),
  cpuOfFrames('1,000 distinct selections, one update at a time', [
    { name: 'gateway', kind: 'gateway', delivery: { ...ONE, selections: 1_000 } },
    { name: 'yoga', kind: 'yoga', delivery: { ...ONE_SELDOM, everyMs: 250, selections: 1_000 } },
  ]),
  cpuBeyondMessages('Growth: one update at a time, less what messages cost without a client', [
    { name: 'gateway, 1,000 clients', kind: 'gateway', delivery: ONE },
    { name: 'gateway, 250 clients', kind: 'gateway', delivery: { ...ONE, clients: 250 } },
    { name: 'gateway, 2,000 clients', kind: 'gateway', delivery: { ...ONE, clients: 2_000 } },
  ]),
];
