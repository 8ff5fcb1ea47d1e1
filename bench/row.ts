import type { Measurement } from './measurement.ts';
import { previous } from './options.ts';
import type { ServerKind, UpstreamProcess } from './servers.ts';

/** Somebody who is measured in a row. */
interface Subject {
  readonly name: string;
  /** Whether the first subject is compared with it; otherwise it is compared with the first. */
  readonly isBaseline: boolean;
}

/** Told each figure as soon as it is there, or what went wrong instead. */
export type Report = (subject: string, outcome: Measurement | Error) => void;

/** A row of the comparison. */
export interface Row {
  readonly title: string;
  readonly unit: string;
  /** The gateway first. */
  readonly subjects: readonly Subject[];
  /** One round. */
  readonly measure: (report: Report, upstream: UpstreamProcess) => Promise<void>;
}

/** Whether a server is measured: beside another build of the gateway the slow baselines are not. */
export function isAsked(kind: ServerKind): boolean {
  return previous === undefined || kind === 'gateway' || kind === 'relay';
}

/** A row whose servers are measured one after the other. */
export function inTurn(
  title: string,
  unit: string,
  kinds: readonly ServerKind[],
  measure: (kind: ServerKind, upstream: UpstreamProcess) => Promise<Measurement>,
): Row {
  return alternating(title, unit, kinds, async (measured, upstream, report) => {
    for (const kind of measured) report(kind, await outcomeOf(measure(kind, upstream)));
  });
}

/**
 * A row whose servers are there at once, each measured for some time and in turn, so that the machine's own
 * changes of speed fall on all alike.
 */
export function alternating(
  title: string,
  unit: string,
  kinds: readonly ServerKind[],
  measure: (
    kinds: readonly ServerKind[],
    upstream: UpstreamProcess,
    report: Report,
  ) => Promise<void>,
): Row {
  const measured = kinds.filter(isAsked);
  if (previous !== undefined) measured.splice(1, 0, 'previous');
  return {
    title,
    unit,
    subjects: measured.map((name) => ({ name, isBaseline: name !== 'gateway' })),
    measure: (report, upstream) => measure(measured, upstream, report),
  };
}

/** What comes of a measurement, or what went wrong. */
export function outcomeOf<T>(measuring: Promise<T>): Promise<T | Error> {
  return measuring.catch((error: unknown) =>
    error instanceof Error ? error : new Error(String(error)),
  );
}
