#!/bin/sh
# Server-sent events: every change of the first contract, until Ctrl-C.
url="${GATEWAY_URL:-http://127.0.0.1:4000}/graphql"
name=$(curl -s "$url" -H 'content-type: application/json' \
  -H "authorization: Bearer ${GATEWAY_TOKEN:-none}" \
  -d '{"query":"{ contracts { name } }"}' | sed 's/.*\[{"name":"\([^"]*\)".*/\1/')
curl -sN "$url" -H 'content-type: application/json' -H 'accept: text/event-stream' \
  -H "authorization: Bearer ${GATEWAY_TOKEN:-none}" \
  -d "{\"query\":\"subscription (\$n: [String!]) { contractUpdates(names: \$n) { name status snapshot { aggregate { lastPrice } } } }\",\"variables\":{\"n\":[\"$name\"]}}"
