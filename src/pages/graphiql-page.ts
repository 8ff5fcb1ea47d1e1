import type { UpstreamMode } from '../schema/report.ts';
import { Page } from './page.ts';

const banner = (words: string) =>
  `<div role="status" style="position:fixed;top:0;left:50%;transform:translateX(-50%);z-index:99;padding:4px 16px;border-radius:0 0 8px 8px;background:#b45309;color:#fff;font:600 13px system-ui,sans-serif;white-space:nowrap;pointer-events:none">${words}</div>`;

/** What is said of data that is not IME's, or not of now. */
const MARKS: Readonly<Record<UpstreamMode, readonly [title: string, words: string] | undefined>> = {
  IME: undefined,
  SIMULATOR: ['SIMULATED DATA', 'SIMULATED DATA: IME_URL is not set, all prices are invented'],
  REPLAY: [
    'RECORDED DATA',
    'RECORDED DATA: IME_URL is a recording, all prices are of another time',
  ],
};

// GraphiQL moves tabs into their places by a transform that it never ends where several are there from the
// start; clicks then go to another tab than the one that is seen.
const TABS = '.graphiql-tab{transform:none!important}';

const FOLDER = '/graphiql';

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "worker-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  'font-src data:',
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

// The document and the variables in the address are shown, and the address says what is shown: so it can be
// shared, and opened anew. GraphiQL of itself takes the variables that it showed last for those of any document.
const ADDRESS = `const asked = new URL(location.href).searchParams;
const query = asked.get('query');
if (query) {
  options.variables = asked.get('variables') ?? '';
  options.defaultTabs.unshift({ query, variables: options.variables });
}
const show = (name, text) => {
  const address = new URL(location.href);
  if (text) address.searchParams.set(name, text);
  else address.searchParams.delete(name);
  history.replaceState({}, '', address);
};
options.onEditQuery = (text) => show('query', text);
options.onEditVariables = (text) => show('variables', text);
`;

/** The parts of GraphiQL, as the package that brings it has them. */
interface GraphiqlParts {
  readonly js: string;
  readonly css: string;
  readonly favicon: string;
  readonly editorWorkerService: string;
  readonly jsonWorker: string;
  readonly graphqlWorker: string;
}

/** The files that GraphiQL is served as, by their names: written by the build, not for each request. */
export function graphiqlFiles(parts: GraphiqlParts): Readonly<Record<string, string>> {
  const workers = {
    editorWorkerService: 'editor-worker.js',
    json: 'json-worker.js',
    graphql: 'graphql-worker.js',
  };
  const script = `const workers = ${JSON.stringify(workers)};
self.MonacoEnvironment = {
  globalAPI: false,
  getWorkerUrl: (_module, label) => '${FOLDER}/' + workers[label],
};
${parts.js};
const options = JSON.parse(document.getElementById('options').textContent);
${ADDRESS}YogaGraphiQL.renderYogaGraphiQL(document.getElementById('root'), options);
`;
  return {
    'graphiql.js': script,
    'graphiql.css': `${parts.css}${TABS}`,
    [workers.editorWorkerService]: parts.editorWorkerService,
    [workers.json]: parts.jsonWorker,
    [workers.graphql]: parts.graphqlWorker,
  };
}

/**
 * The page of GraphiQL: it asks no other host for anything. The document and the variables in its address, if
 * there are any, are read by its own script.
 *
 * @param endpoint where GraphQL is served
 * @param mode where the data comes from, which it says
 */
export function graphiqlPage(
  endpoint: string,
  mode: UpstreamMode,
  exampleNames: readonly string[],
): Page {
  const mark = MARKS[mode];
  const title = mark === undefined ? 'IME gateway' : `IME gateway (${mark[0]})`;
  const options = {
    endpoint,
    title,
    defaultTabs: examples(exampleNames).map((query) => ({ query })),
    subscriptionsProtocol: 'WS',
    isHeadersEditorEnabled: true,
    shouldPersistHeaders: false,
  };
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>${title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${FOLDER}/graphiql.css">
</head>
<body id="body" class="no-focus-outline">${mark === undefined ? '' : banner(mark[1])}
<noscript>GraphiQL needs JavaScript.</noscript>
<div id="root"></div>
<script type="application/json" id="options">${JSON.stringify(options).replaceAll('<', '\\u003c')}</script>
<script src="${FOLDER}/graphiql.js"></script>
</body>
</html>
`;
  return new Page({ identity: Buffer.from(html) }, 'text/html; charset=utf-8', { policy: POLICY });
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
