"""Every change of three contracts, over graphql-transport-ws, with Debian's python3-websockets."""
import asyncio
import json
import os
import urllib.request

import websockets

URL = os.environ.get("GATEWAY_URL", "http://127.0.0.1:4000") + "/graphql"
TOKEN = os.environ.get("GATEWAY_TOKEN")
QUERY = """subscription ($names: [String!]) {
  contractUpdates(names: $names) { name status snapshot { aggregate { lastPrice } } }
}"""


def some_names():
    headers = {"content-type": "application/json"}
    if TOKEN:
        headers["authorization"] = f"Bearer {TOKEN}"
    body = json.dumps({"query": "{ contracts { name } }"}).encode()
    with urllib.request.urlopen(urllib.request.Request(URL, body, headers)) as answer:
        contracts = json.load(answer)["data"]["contracts"]
    return [contract["name"] for contract in contracts if contract["name"]][:3]


async def watch(names):
    async with websockets.connect(
        URL.replace("http", "ws", 1), subprotocols=["graphql-transport-ws"]
    ) as socket:
        payload = {"authorization": f"Bearer {TOKEN}"} if TOKEN else {}
        await socket.send(json.dumps({"type": "connection_init", "payload": payload}))
        async for text in socket:
            message = json.loads(text)
            if message["type"] == "connection_ack":
                subscribe = {"query": QUERY, "variables": {"names": names}}
                await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": subscribe}))
            elif message["type"] == "ping":
                await socket.send(json.dumps({"type": "pong"}))
            elif message["type"] == "next":
                contract = message["payload"]["data"]["contractUpdates"]
                aggregate = (contract["snapshot"] or {}).get("aggregate") or {}
                print(contract["name"], aggregate.get("lastPrice"), contract["status"], flush=True)
            elif message["type"] in ("error", "complete"):
                print(text)
                return


async def main():
    names = some_names()
    while True:  # A gateway that restarts closes with 1012: come back.
        try:
            await watch(names)
            return
        except (OSError, websockets.ConnectionClosed):
            await asyncio.sleep(1)


if __name__ == "__main__":
    asyncio.run(main())
