"""An app with every kind of endpoint."""

CODE = '''
    import asyncio
    import threading
    from typing import Annotated, AsyncIterator, Iterator

    from fastapi import Depends, Header, HTTPException, Request, Response, WebSocket
    from pydantic import BaseModel, Field
    import towpath


    class Point(BaseModel):
        x: int
        y: int = 0


    class Size(BaseModel):
        width: float


    class Everything(towpath.App, name="all", max_multiplexing=8):
        """What endpoints may look like."""

        media_expires_in = "1h"

        async def setup(self):
            self.ready = True
            self.closed = 0

        def provide_hints(self):
            return ["warm-model", "b\u00e4d", "line\\nbreak"]

        @towpath.endpoint("/file")
        def file(self) -> towpath.File:
            return towpath.File.from_bytes(b"x", "text/plain")

        @towpath.endpoint("/endless")
        async def endless(self) -> AsyncIterator[int]:
            try:
                while True:
                    yield 1
                    await asyncio.sleep(0.01)
            finally:
                self.closed += 1

        @towpath.endpoint("/closed")
        def count_closed(self) -> int:
            return self.closed

        @towpath.endpoint("/model")
        def model(self, point: Point) -> Point:
            return Point(x=point.x + 1, y=point.y)

        @towpath.endpoint("/optional-model")
        def optional_model(self, point: Point | None = None) -> dict:
            return {"x": None if point is None else point.x}

        @towpath.endpoint("/model-and-query")
        def model_and_query(self, point: Point, factor: int = 1, tags: list[str] = []) -> dict:
            return {"x": point.x * factor, "tags": tags}

        @towpath.endpoint("/two-models")
        def two_models(self, point: Point, size: Size) -> dict:
            return {"x": point.x, "width": size.width}

        @towpath.endpoint("/scalars")
        def scalars(
            self,
            text: str,
            count: Annotated[int, Field(ge=1, le=5)] = 1,
            ratio: float = Field(default=0.5, gt=0),
            flag: bool = False,
            words: list[str] = [],
            options: dict[str, int] | None = None,
            schema: str | None = None,
        ) -> dict:
            return {
                "text": text, "count": count, "ratio": ratio, "flag": flag,
                "words": words, "options": options, "schema": schema,
            }

        @towpath.endpoint("/native")
        def native(
            self,
            request: Request,
            response: Response,
            agent: Annotated[str, Header(alias="user-agent")],
            depended: Annotated[int, Depends(lambda: 7)],
            text: str = "t",
        ) -> dict:
            response.headers["x-fal-billable-units"] = "3"
            return {"method": request.method, "agent": agent, "depended": depended, "text": text}

        @towpath.endpoint("/async")
        async def is_async(self, n: int) -> int:
            await asyncio.sleep(0)
            return n + 1

        @towpath.endpoint("/nothing")
        def nothing(self) -> None:
            return None

        @towpath.endpoint("/by-hand")
        def by_hand(self) -> Response:
            return Response(b"raw", status_code=201, media_type="application/x-raw")

        @towpath.endpoint("/stream")
        def stream(self, n: int) -> Iterator[dict]:
            for number in range(n):
                yield {"n": number}

        @towpath.endpoint("/astream")
        async def astream(self, n: int) -> AsyncIterator[Point]:
            for number in range(n):
                yield Point(x=number)

        @towpath.endpoint("/bad-stream")
        def bad_stream(self, url: str) -> Iterator[dict]:
            towpath.download_file(url, "in")
            yield {}

        @towpath.endpoint("/context")
        def context(self) -> dict:
            seen = []
            context = self.current_request
            request = towpath.current_request()
            assert request is context
            return {
                "id": request.request_id, "app": request.app, "endpoint": request.endpoint,
                "header": request.headers.get("x-my-trace"),
                "preference": request.lifecycle_preference,
                "key": request.headers.get("authorization"),
            }

        @towpath.endpoint("/raise")
        def fail(self, what: str, url: str = "") -> dict:
            if what == "error":
                raise RuntimeError("secret inner text")
            if what == "http":
                raise HTTPException(418, "teapot")
            if what == "input":
                raise towpath.InputError("scale is too large", "scale", ctx={"max": 4})
            if what == "own-url":
                towpath.download_file("http://127.0.0.1:1/own", "in")
            if what == "nested":
                towpath.File(url=url).as_bytes()
            if what == "pil":
                towpath.Image(url=url).to_pil()
            return {}

        @towpath.endpoint("/ws", is_websocket=True)
        async def ws(self, websocket: WebSocket) -> None:
            await websocket.accept()
            async for text in websocket.iter_text():
                await websocket.send_text(text.upper())
                await websocket.send_bytes(text.encode())
'''
