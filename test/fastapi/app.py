"""IME's API document as a FastAPI service, for tests: what it says, served by what it names."""
import asyncio
import json
import os
import secrets
import time
from typing import Any, Dict, List, Optional, Set

import jwt
from fastapi import FastAPI, Form, HTTPException, Query, Request, Response, WebSocket
from starlette.websockets import WebSocketDisconnect

TOKEN = os.environ.get("SERVICE_TOKEN", "good")
REFUSE = os.environ.get("SERVICE_REFUSE", "after")
# With a name and a password, «me:secret», tokens are those of the login, and no other is good.
USERNAME, _, PASSWORD = os.environ.get("SERVICE_LOGIN", "").partition(":")
USER_FIELD, PASSWORD_FIELD = os.environ.get("SERVICE_FIELDS", "username,password").split(",")
LOGIN_STATUS = int(os.environ.get("SERVICE_LOGIN_STATUS", "201"))
TOKEN_LIFE_S = int(os.environ.get("SERVICE_TOKEN_LIFE", "3600"))
# What stands before the token in its header: «Bearer », or nothing.
PREFIX = os.environ.get("SERVICE_PREFIX", "Bearer ")
UNKNOWN = "unknown"
COOKIE = "session"

app = FastAPI()
SECRET = secrets.token_bytes(32)
channels: Dict[str, Set[asyncio.Queue]] = {}
seen = {"logins": 0, "handshakes": 0, "cut": 0}


@app.post("/auth/user/token/issue")
async def issue(
    response: Response,
    username: str = Form(..., alias=USER_FIELD),
    password: str = Form(..., alias=PASSWORD_FIELD),
) -> Dict[str, str]:
    if (username, password) != (USERNAME, PASSWORD):
        raise HTTPException(status_code=401, detail="Incorrect username or password")
    session = secrets.token_hex(8)
    claims = {"sub": username, "exp": int(time.time()) + TOKEN_LIFE_S, COOKIE: session}
    response.status_code = LOGIN_STATUS
    response.set_cookie(COOKIE, session, httponly=True)
    return {"Authorization": jwt.encode(claims, SECRET, algorithm="HS256")}


@app.middleware("http")
async def count_logins(request: Request, call_next):  # type: ignore
    if request.url.path == "/auth/user/token/issue":
        seen["logins"] += 1
    return await call_next(request)


def end_of_token(socket: WebSocket) -> Optional[float]:
    """When the token of a handshake ends, in epoch seconds; None for one that is refused."""
    header = socket.headers.get("authorization", "")
    if not USERNAME:
        return float("inf") if header == PREFIX + TOKEN else None
    if not header.startswith(PREFIX):
        return None
    try:
        claims = jwt.decode(header[len(PREFIX):], SECRET, algorithms=["HS256"])
    except jwt.InvalidTokenError:
        return None
    return claims["exp"] if claims[COOKIE] == socket.cookies.get(COOKIE) else None


async def serve(socket: WebSocket, contracts: List[str], space: str) -> None:
    seen["handshakes"] += 1
    ends_at = end_of_token(socket)
    if ends_at is None or any(UNKNOWN in contract for contract in contracts):
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

    async def cut() -> None:
        await asyncio.sleep(ends_at - time.time())
        seen["cut"] += 1
        await socket.close(code=1008)

    tasks = [asyncio.ensure_future(send())]
    if ends_at != float("inf"):
        tasks.append(asyncio.ensure_future(cut()))
    try:
        while True:
            await socket.receive_text()
    except WebSocketDisconnect:
        pass
    finally:
        for task in tasks:
            task.cancel()
        for contract in contracts:
            channels[space + contract].discard(queue)


BASE = "/data-engine/ime/live/data/websocket/contract/"


@app.websocket(BASE + "name")
async def by_name(socket: WebSocket, contract_name: List[str] = Query(...)) -> None:
    await serve(socket, contract_name, "name:")


@app.websocket(BASE + "id")
async def by_id(socket: WebSocket, contract_id: List[str] = Query(...)) -> None:
    await serve(socket, contract_id, "id:")


@app.get("/seen")
async def what_was_seen() -> Dict[str, int]:
    return seen


def send_to(key: str, frame: str) -> int:
    queues = channels.get(key, set())
    for queue in queues:
        queue.put_nowait(frame)
    return len(queues)


@app.post("/publish")
async def publish(request: Request, key: str) -> int:
    return send_to(key, (await request.body()).decode())


@app.post("/publish/floats")
async def publish_floats(key: str, price: float) -> int:
    """Publishes a state as Python's own json writes floats, NaN and whole numbers that became floats."""
    space, contract = key.split(":", 1)
    nothing = float("nan")
    message: Dict[str, Any] = {
        "channel": "IME Stream",
        **({"contractName": contract} if space == "name" else {"ContractId": contract}),
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 12_600)),
        "data": {
            "BestLimit": {
                "1": {"buy_quantity": 3.0, "buy_price": price - 1, "sell_quantity": 4, "sell_price": price + 1},
            },
            "Aggregate": {
                "date": "2026-05-23",
                "time": "15:10:00",
                "trade_count": 15 * 1e2,
                "total_volume": 1e16,
                "total_value": price * 1e16,
                "closing_price": nothing,
                "last_price": price,
                "low_price": -float("inf"),
                "high_price": price / 3,
                "open_price": 1e-07,
                "previous_close": str(price),
            },
            "AllowedPriceRange": {"minAllowedPrice": price / 2, "maxAllowedPrice": price * 2},
            "ContractInfo": {"open_interest": 2.5, "open_interest_changes": -0.0},
        },
    }
    return send_to(key, json.dumps(message))
