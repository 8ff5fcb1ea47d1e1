import type { Span, Tracer } from '@opentelemetry/api';

export type { Span };

/** Makes a span for each operation, where somebody collects them. */
export interface Tracing {
  /**
   * An operation begins.
   *
   * @param name what is done, from a small fixed set
   * @param attributes what tells it from others
   * @returns its span, to be ended; `undefined` where spans go nowhere
   */
  start(name: string, attributes: Readonly<Record<string, string>>): Span | undefined;
}

const NO_TRACING: Tracing = { start: () => undefined };

/**
 * Traces by OpenTelemetry, an optional peer: where `@opentelemetry/api` is not installed nothing is traced,
 * and where no SDK is registered (`node --import ./otel.js`) its own tracer drops everything.
 */
export async function openTelemetry(version: string): Promise<Tracing> {
  let tracer: Tracer;
  try {
    const { trace } = await import('@opentelemetry/api');
    tracer = trace.getTracer('ime-gateway', version);
  } catch {
    return NO_TRACING;
  }
  return {
    start(name, attributes) {
      const span = tracer.startSpan(name, { attributes: { ...attributes } });
      return span.isRecording() ? span : undefined;
    },
  };
}
