"""IME's API document as a FastAPI service, for tests: what it says, served by what it names."""
import asyncio
import os
from typing import Dict, List, Set

from fastapi import FastAPI, Query, Request, WebSocket
from starlette.websockets import WebSocketDisconnect

TOKEN = os.environ.get("SERVICE_TOKEN", "good")
REFUSE = os.environ.get("SERVICE_REFUSE", "after")
UNKNOWN = "unknown"

app = FastAPI()
channels: Dict[str, Set[asyncio.Queue]] = {}


async def serve(socket: WebSocket, contracts: List[str], space: str) -> None:
    authorized = socket.headers.get("authorization") == "Bearer " + TOKEN
    if not authorized or any(UNKNOWN in contract for contract in contracts):
        if REFUSE == "after":
            await socket.accept()
        await socket.close(code=1008)
        return
    await socket.accept()
    queue: asyncio.Queue = asyncio.Queue()
    for contract in contracts:
        channels.setdefault(space + contract, set()).add(queue)

    async def send() -> None:
        while True:
            await socket.send_text(await queue.get())

    sending = asyncio.ensure_future(send())
    try:
        while True:
            await socket.receive_text()
    except WebSocketDisconnect:
        pass
    finally:
        sending.cancel()
        for contract in contracts:
            channels[space + contract].discard(queue)


BASE = "/data-engine/ime/live/data/websocket/contract/"


@app.websocket(BASE + "name")
async def by_name(socket: WebSocket, contract_name: List[str] = Query(...)) -> None:
    await serve(socket, contract_name, "name:")


@app.websocket(BASE + "id")
async def by_id(socket: WebSocket, contract_id: List[str] = Query(...)) -> None:
    await serve(socket, contract_id, "id:")


@app.post("/publish")
async def publish(request: Request, key: str) -> int:
    frame = (await request.body()).decode()
    queues = channels.get(key, set())
    for queue in queues:
        queue.put_nowait(frame)
    return len(queues)
