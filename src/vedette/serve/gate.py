"""What every request goes through first: the API key, room, the size of its body, the time that it may take."""

import asyncio
import hmac

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vedette.serve.limits import READING, Limits
from vedette.serve.refusal import RefusedError, refused
from vedette.serve.room import Room

# What needs no key: health for those that watch over the service, and the page, which asks for one
OPEN = ("/", "/favicon.ico", "/health", "/ready", "/openapi.json", "/v2/health/live", "/v2/health/ready")
OPEN_FOLDER = "/page/"


class Gate:
    """ASGI middleware. A body is not read where there is no room, and never beyond its limit.

    key: what requests must bring as `X-API-Key: …` or `Authorization: Bearer …`; None lets everyone in.
    """

    def __init__(self, app: ASGIApp, limits: Limits, room: Room, key: str | None = None) -> None:
        self.app, self.limits, self.room = app, limits, room
        self.key = None if key is None else key.encode()
        self.reading = 0  # requests whose bodies arrive now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuses, or lets the request through."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            self.check_key(scope["path"], Headers(scope=scope))
            if scope["method"] == "POST":
                await self.post(scope, receive, send)
            else:
                await self.app(scope, receive, send)
        except RefusedError as error:
            await refused(error.status_code, error.detail, error.headers)(scope, receive, send)

    def check_key(self, path: str, headers: Headers) -> None:
        """Raises RefusedError for a key that is not ours; the time it takes says nothing about ours."""
        if self.key is None or path in OPEN or path.startswith(OPEN_FOLDER):
            return
        bearer = headers.get("authorization", "")
        given = headers.get("x-api-key") or (bearer[7:] if bearer[:7].lower() == "bearer " else "")
        if not hmac.compare_digest(given.encode(), self.key):
            raise RefusedError(401, "the API key is missing or wrong: send it as the header X-API-Key")

    async def post(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A request with a body, within its limits of size and time."""
        end = asyncio.get_running_loop().time() + self.limits.seconds
        body = await self.read(Headers(scope=scope), receive, end)
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            async with asyncio.timeout_at(end):
                await self.app(scope, _replay(body, receive), sending)
        except TimeoutError:
            if started:
                raise
            raise RefusedError(503, f"no answer within {self.limits.seconds:g} s; try again", retry=1) from None

    async def read(self, headers: Headers, receive: Receive, end: float) -> bytearray:
        """The whole body; raises RefusedError where there is no room, for one too large and one too slow."""
        self.room.check()
        if self.reading >= READING:
            raise self.room.full()
        announced = headers.get("content-length", "")
        self.check_size(int(announced) if announced.isdecimal() else 0)
        body, more = bytearray(), True
        self.reading += 1
        try:
            async with asyncio.timeout_at(end):
                while more:
                    message = await receive()
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    self.check_size(len(body))
        except TimeoutError:
            raise RefusedError(408, f"the request did not arrive within {self.limits.seconds:g} s; send less") from None
        finally:
            self.reading -= 1
        return body

    def check_size(self, size: int) -> None:
        """Raises RefusedError for more bytes than the limit."""
        if size > self.limits.body:
            raise RefusedError(413, f"more than {self.limits.body} bytes; send a smaller picture, or fewer at once")


def _replay(body: bytearray, receive: Receive) -> Receive:
    """A body that was read, for the app to read; then whatever else comes."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": bytes(body), "more_body": False}

    return replay
