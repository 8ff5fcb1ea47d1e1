import { trace } from '@opentelemetry/api';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { expect, onTestFinished, test } from 'vitest';
import { ask } from './kit/clients.ts';
import { names, TestExchange, testGateway, until } from './kit/gateway.ts';
import { RawClient } from './kit/raw.ts';

test('requests and operations are spans from their beginning to their end', async () => {
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  trace.setGlobalTracerProvider(provider);
  onTestFinished(() => {
    trace.disable();
    return provider.shutdown();
  });
  const ended = () => exporter.getFinishedSpans();
  const market = await new TestExchange().listen();
  const gateway = await testGateway({ IME_URL: market.url });
  await ask(gateway, '{ status { ready } }', {}, { 'x-request-id': 'mine' });
  await until(() => ended().length === 1, 'the request is told');
  expect(ended()[0]).toMatchObject({
    name: 'graphql.request',
    attributes: { 'ime_gateway.request_id': 'mine', 'http.response.status_code': 200 },
  });
  const client = await new RawClient(gateway).init();
  client.subscribe('1', 'subscription S { contractUpdates(names: ["A"]) { id } }', {
    operationName: 'S',
  });
  client.subscribe('2', '{ status { ready } }');
  await until(() => ended().length === 2, 'the query is told');
  expect(ended()[1]?.attributes['graphql.operation.name']).toBe('');
  await market.carries(names('A'));
  client.send({ type: 'complete', id: '1' });
  await until(() => ended().length === 3, 'the subscription is told when it has ended');
  expect(ended()[2]).toMatchObject({
    name: 'graphql.operation',
    attributes: { 'graphql.operation.name': 'S', 'network.protocol.name': 'websocket' },
  });
});
