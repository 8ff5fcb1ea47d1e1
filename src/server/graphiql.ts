import { renderGraphiQL } from '@graphql-yoga/render-graphiql';

const BANNER =
  '<div role="status" style="position:fixed;top:0;left:50%;transform:translateX(-50%);z-index:99;padding:4px 16px;border-radius:0 0 8px 8px;background:#b45309;color:#fff;font:600 13px system-ui,sans-serif;white-space:nowrap;pointer-events:none">SIMULATED DATA: IME_URL is not set, all prices are invented</div>';

/**
 * The GraphiQL page, complete in itself: it asks no other host for anything.
 *
 * @param endpoint where GraphQL is served
 */
export function graphiqlPage(
  endpoint: string,
  simulated: boolean,
  exampleNames: readonly string[],
): string {
  const page = renderGraphiQL({
    endpoint,
    title: simulated ? 'IME gateway (SIMULATED DATA)' : 'IME gateway',
    defaultQuery: firstDocument(exampleNames),
    subscriptionsProtocol: 'WS',
    isHeadersEditorEnabled: true,
    shouldPersistHeaders: false,
  });
  return simulated ? page.replace(/<body[^>]*>/, (body) => `${body}${BANNER}`) : page;
}

function firstDocument(exampleNames: readonly string[]): string {
  const names = exampleNames.map((name) => `\n    ${JSON.stringify(name)}`).join('');
  const hint =
    exampleNames.length > 0
      ? '# Press the play button, choose Live.'
      : '# Put contract names in the brackets,\n# exactly as IME writes them.';
  return `${hint}
subscription Live {
  contractUpdates(names: [${names}${names && '\n  '}]) {
    name
    status
    snapshot {
      publishedAt
      aggregate { lastPrice totalVolume }
      lastPriceChangePercent
      bestLimits(depth: 1) {
        buyQuantity buyPrice sellPrice sellQuantity
      }
    }
  }
}

# Every contract that the gateway holds.
query Board {
  contracts {
    id
    status
    snapshot { aggregate { lastPrice } spread }
  }
}

# What the gateway and IME are doing.
query Status {
  status {
    ready
    reasons
    upstream {
      mode problems
      sockets { endpoint state contracts reconnects }
    }
    contracts { live stale pending invalid }
  }
}
`;
}
