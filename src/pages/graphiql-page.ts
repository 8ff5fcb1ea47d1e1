import { renderGraphiQL } from '@graphql-yoga/render-graphiql';

const BANNER =
  '<div role="status" style="position:fixed;top:0;left:50%;transform:translateX(-50%);z-index:99;padding:4px 16px;border-radius:0 0 8px 8px;background:#b45309;color:#fff;font:600 13px system-ui,sans-serif;white-space:nowrap;pointer-events:none">SIMULATED DATA: IME_URL is not set, all prices are invented</div>';

// GraphiQL moves tabs into their places by a transform that it never ends where several are there from the
// start; clicks then go to another tab than the one that is seen.
const TABS = '.graphiql-tab{transform:none!important}';

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
    defaultTabs: examples(exampleNames).map((query) => ({ query })),
    subscriptionsProtocol: 'WS',
    isHeadersEditorEnabled: true,
    shouldPersistHeaders: false,
  });
  const clickable = page.replace('</style>', `${TABS}</style>`);
  return simulated ? clickable.replace(/<body[^>]*>/, (body) => `${body}${BANNER}`) : clickable;
}

/** The documents that GraphiQL opens with, each complete and runnable: one a tab. */
function examples(exampleNames: readonly string[]): string[] {
  // Not even a contract's name may end the script that this stands in.
  const texts = exampleNames.map((name) => JSON.stringify(name).replaceAll('<', '\\u003c'));
  const [one = '""', two = one] = texts;
  const hint =
    texts.length > 0
      ? '# Press the play button.'
      : '# Put a contract name between the quotes,\n# exactly as IME writes it.';
  return [
    `${hint} Every change of a contract:
subscription Live {
  contractUpdates(names: [${one}]) {
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
`,
    `# What is known now of every contract that the gateway holds.
query Snapshot {
  contracts {
    id
    status
    snapshot { aggregate { lastPrice } spread }
  }
}
`,
    `# Two contracts, told only when something selected changes.
subscription TwoContracts {
  contractUpdates(
    names: [
      ${one}
      ${two}
    ]
    changesOnly: true
  ) {
    name
    snapshot { aggregate { lastPrice } }
  }
}
`,
    `# At most one update in two seconds; the newest wins.
subscription SlowPace {
  contractUpdates(names: [${one}], maxUpdatesPerSecond: 0.5) {
    name
    snapshot { sequence aggregate { lastPrice } }
  }
}
`,
    `# What the gateway and IME are doing.
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
`,
  ];
}
