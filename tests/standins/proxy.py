"""A TCP proxy in front of a real server, over real sockets, that breaks connections on demand."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

_PIECE = 1 << 18
_HEAD_ENDS = b"\r\n\r\n"


@dataclass(frozen=True)
class Refuse:
    """Reset connections as soon as they are made, and those there are at their next answer."""

    times: int | None = None


@dataclass(frozen=True)
class Reset:
    """Reset (RST) connections after *after* bytes from the server."""

    after: int
    times: int | None = None


@dataclass(frozen=True)
class Close:
    """Close (FIN) connections after *after* bytes from the server."""

    after: int
    times: int | None = None


@dataclass(frozen=True)
class Cut:
    """Close each connection after *every* bytes from the server, so that none brings more."""

    every: int
    times: int | None = None


@dataclass(frozen=True)
class Stall:
    """Send nothing more after *after* bytes, and keep the connection open."""

    after: int
    times: int | None = None


@dataclass(frozen=True)
class Trickle:
    """Pass no more than *bytes_per_second* of a connection."""

    bytes_per_second: int
    times: int | None = None


@dataclass(frozen=True)
class Flip:
    """Invert the byte *at* of what follows the first header (HTTP) of a connection."""

    at: int
    times: int | None = None


Fault = Refuse | Reset | Close | Cut | Stall | Trickle | Flip


class FaultProxy:
    """Passes connections on to ``host:port``, with a `fault` that may be changed at any time.

    Bytes are those from the server to the client, HTTP headers included, counted for each
    connection since it was made or, if later, since the fault was set. ``times`` of a fault says
    how many connections it hits before all is well; None hits all until `fault` is changed.

    ``bytes_sent`` counts what went to clients, ``connections`` how many they made, ``hits`` how
    many connections a fault hit.
    """

    def __init__(self, host: str, port: int) -> None:
        self.bytes_sent = 0
        self.connections = 0
        self.hits = 0
        self._fault: Fault | None = None
        self._left: int | None = None
        self._to = (host, port)
        self._under_way: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def fault(self) -> Fault | None:
        """What goes wrong now."""
        return self._fault

    @fault.setter
    def fault(self, fault: Fault | None) -> None:
        self._left = fault.times if fault else None
        self._fault = fault

    def reset(self) -> None:
        """Forget fault and counters."""
        self.fault = None
        self.bytes_sent = self.connections = self.hits = 0

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_PIECE)

    def hang_up(self) -> None:
        """End all connections: a client that was killed may be noticed much later."""
        asyncio.run_coroutine_threadsafe(self._end_all(), self._loop).result()

    async def _end_all(self) -> None:
        under_way = list(self._under_way)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    async def _stop(self) -> None:
        self._server.close()
        await self._end_all()
        # Transports close in the loop's next turns.
        for _ in range(3):
            await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._under_way.add(task)
        self.connections += 1
        try:
            if isinstance(self._fault, Refuse) and self._hit():
                _reset(writer)
            else:
                await self._join(reader, writer)
        except asyncio.CancelledError:
            pass  # the proxy ends; asyncio would complain of a cancelled handler
        finally:
            writer.transport.abort()
            self._under_way.discard(task)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inward, outward = await asyncio.open_connection(*self._to, limit=_PIECE)
        except OSError:
            _reset(writer)  # as the server would refuse
            return
        up = asyncio.create_task(_pass(reader, outward))
        down = asyncio.create_task(self._answer(inward, writer))
        try:
            await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
            if up.done() and not reader.at_eof():
                await down
        finally:
            outward.transport.abort()
            up.cancel()
            down.cancel()
            await asyncio.gather(up, down, return_exceptions=True)

    def _hit(self) -> bool:
        """Return whether the fault hits one connection more, and count it."""
        if self._left is not None:
            if self._left == 0:
                return False
            self._left -= 1
        self.hits += 1
        return True

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fault, passed, hit, head = self._fault, 0, False, b""
        with suppress(ConnectionError):
            while piece := await reader.read(_PIECE):
                if self._fault is not fault:
                    fault, passed, hit = self._fault, 0, False
                match fault:
                    case Refuse():
                        if self._hit():
                            await _end(writer, rudely=True)
                            return
                    case Reset(limit) | Close(limit) | Cut(limit) | Stall(limit):
                        if passed + len(piece) >= limit and self._hit():
                            await self._send(writer, piece[: limit - passed])
                            if isinstance(fault, Stall):
                                await asyncio.Event().wait()
                            await _end(writer, rudely=isinstance(fault, Reset))
                            return
                    case Trickle(speed):
                        hit = hit or self._hit()
                        if hit:
                            piece = await self._slowly(writer, piece, speed)
                    case Flip(at):
                        if _HEAD_ENDS not in head:
                            head += piece
                            ends = head.find(_HEAD_ENDS)
                            # From here on, the place of this piece within the body.
                            passed = len(head) - len(piece) - ends - 4 if ends >= 0 else -1 << 62
                        if 0 <= at - passed < len(piece) and self._hit():
                            wrong = bytearray(piece)
                            wrong[at - passed] ^= 0xFF
                            piece = bytes(wrong)
                await self._send(writer, piece)
                passed += len(piece)
            await _end(writer)

    async def _slowly(self, writer: asyncio.StreamWriter, piece: bytes, speed: int) -> bytes:
        """Send *piece* bit by bit; give what is left of it when another fault is set."""
        fault, step = self._fault, speed // 10 or 1
        while piece and self._fault is fault:
            await self._send(writer, piece[:step])
            await asyncio.sleep(step / speed)
            piece = piece[step:]
        return piece

    async def _send(self, writer: asyncio.StreamWriter, piece: bytes) -> None:
        if piece:
            writer.write(piece)
            await writer.drain()
            self.bytes_sent += len(piece)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()


async def _end(writer: asyncio.StreamWriter, *, rudely: bool = False) -> None:
    if rudely:
        _reset(writer)
        return
    with suppress(ConnectionError):
        writer.close()
        await writer.wait_closed()


def _reset(writer: asyncio.StreamWriter) -> None:
    # A linger of 0 s makes the kernel send RST.
    made = writer.get_extra_info("socket")
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
