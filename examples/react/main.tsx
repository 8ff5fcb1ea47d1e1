/** A live watchlist of three contracts with React and Apollo Client 4. */
import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { ApolloProvider, useQuery, useSubscription } from '@apollo/client/react';
import { OperationTypeNode } from 'graphql';
import { createClient } from 'graphql-ws/client';
import { createRoot } from 'react-dom/client';

interface Contract {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly snapshot: { readonly aggregate: { readonly lastPrice: string | null } | null } | null;
}

// The page is served beside the gateway in this example; in yours, set CORS_ORIGINS at the gateway.
const url = new URLSearchParams(location.search).get('gateway') ?? 'http://127.0.0.1:4000';
const client = new ApolloClient({
  link: ApolloLink.split(
    ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
    new GraphQLWsLink(
      createClient({
        url: `${url.replace(/^http/, 'ws')}/graphql`,
        retryAttempts: Number.POSITIVE_INFINITY,
        shouldRetry: () => true,
      }),
    ),
    new HttpLink({ uri: `${url}/graphql` }),
  ),
  // `id` is stable and the same in queries and subscriptions: each update lands in the query's result.
  cache: new InMemoryCache(),
});

const CONTRACT = gql`
  fragment WatchedContract on Contract {
    id
    name
    status
    snapshot { aggregate { lastPrice } }
  }
`;
const SNAPSHOTS = gql`
  query Snapshots { contracts { ...WatchedContract } }
  ${CONTRACT}
`;
const UPDATES = gql`
  subscription Updates($names: [String!]!) { contractUpdates(names: $names) { ...WatchedContract } }
  ${CONTRACT}
`;

function Watchlist() {
  const { data, error } = useQuery<{ contracts: Contract[] }>(SNAPSHOTS);
  const contracts = (data?.contracts ?? []).filter(({ name }) => name !== null).slice(0, 3);
  const names = contracts.map(({ name }) => name);
  useSubscription(UPDATES, { variables: { names }, skip: names.length === 0 });
  if (error) return <p role="alert">{error.message}</p>;
  return (
    <table>
      <tbody>
        {contracts.map(({ id, name, status, snapshot }) => (
          <tr key={id}>
            <th>{name}</th>
            <td className="price">{snapshot?.aggregate?.lastPrice ?? '–'}</td>
            <td>{status}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const place = document.getElementById('watchlist');
if (place !== null) {
  createRoot(place).render(
    <ApolloProvider client={client}>
      <Watchlist />
    </ApolloProvider>,
  );
}
