"""What HTTP sends compressed, made whole again as it arrives, and never more of it than is wanted."""

from __future__ import annotations

import zlib
from typing import IO, Any, Protocol, cast

import brotli
import zstandard

ACCEPTED = "gzip, deflate, br, zstd"
"""The codings that can be undone, for `Accept-Encoding`."""

_PIECE_BYTES = 65_536
# A larger window is not to be used in HTTP (RFC 9659).
_ZSTD_WINDOW_BYTES = 8 << 20


class TooLarge(Exception):
    """There is more than was wanted; the wanted part is in the body."""


class Damaged(ValueError):
    """The compressed data are broken or end too early."""


class Body:
    """What has been decoded so far, `most` bytes at most."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._data = bytearray()

    def write(self, piece: bytes) -> int:
        """Take a piece. Raises `TooLarge` when it does not fit; what fits of it is kept."""
        left = self._most - len(self._data)
        self._data += memoryview(piece)[:left]
        if len(piece) > left:
            raise TooLarge
        return len(piece)

    def __bytes__(self) -> bytes:
        return bytes(self._data)


class Decoder(Protocol):
    """Undoes one content coding. Each call makes one piece of about 64 kB at a time, whatever the data would grow to."""

    def feed(self, data: bytes, body: Body) -> None:
        """Decode what has arrived into `body`. Raises `TooLarge` as that does, `Damaged` for broken data."""
        ...

    def finish(self) -> None:
        """Everything has arrived. Raises `Damaged` when something is missing."""
        ...


def decoder_for(coding: str) -> Decoder | None:
    """A decoder for the value of a `Content-Encoding` header; None for one that was not asked for, such as several codings at once."""
    make = _DECODERS.get(coding.strip().lower())
    return make() if make else None


class _Identity:
    def feed(self, data: bytes, body: Body) -> None:
        body.write(data)

    def finish(self) -> None:
        return


class _Inflate:
    """gzip of one or more members, zlib, and deflate without either's header."""

    def __init__(self) -> None:
        self._stream: Any = None

    def feed(self, data: bytes, body: Body) -> None:
        try:
            while data:
                if self._stream is None:
                    # Some servers send deflate without the zlib header, whose first byte is 0x78 in practice.
                    self._stream = zlib.decompressobj(47 if data[:1] in (b"\x1f", b"\x78") else -15)
                if self._stream.eof:
                    if data[:1] != b"\x1f":  # another gzip member may follow; anything else is padding
                        return
                    self._stream = zlib.decompressobj(47)
                body.write(self._stream.decompress(data, _PIECE_BYTES))
                data = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
        except zlib.error as error:
            raise Damaged(str(error)) from error

    def finish(self) -> None:
        if self._stream is not None and not self._stream.eof:
            raise Damaged("it ends too early")


class _Brotli:
    def __init__(self) -> None:
        self._stream = brotli.Decompressor()
        self._begun = False

    def feed(self, data: bytes, body: Body) -> None:
        self._begun = self._begun or bool(data)
        try:
            while not self._stream.is_finished():
                piece = self._stream.process(data, output_buffer_limit=_PIECE_BYTES)
                body.write(piece)
                data = b""
                # It takes more before it has given everything.
                if not piece and self._stream.can_accept_more_data():
                    return
        except brotli.error as error:
            raise Damaged(str(error)) from error

    def finish(self) -> None:
        if self._begun and not self._stream.is_finished():
            raise Damaged("it ends too early")


class _Zstandard:
    """Frames one after the other; an early end is not noticed."""

    def __init__(self) -> None:
        self._sink = _Sink()
        self._stream = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES).stream_writer(
            cast("IO[bytes]", self._sink), write_size=_PIECE_BYTES
        )

    def feed(self, data: bytes, body: Body) -> None:
        self._sink.body = body
        try:
            self._stream.write(data)
        except zstandard.ZstdError as error:
            raise Damaged(str(error)) from error

    def finish(self) -> None:
        return


class _Sink:
    """Passes on what the decompressor writes."""

    body: Body

    def write(self, piece: bytes) -> int:
        return self.body.write(piece)


_DECODERS: dict[str, type[_Identity] | type[_Inflate] | type[_Brotli] | type[_Zstandard]] = {
    "": _Identity, "identity": _Identity, "gzip": _Inflate, "x-gzip": _Inflate, "deflate": _Inflate, "br": _Brotli, "zstd": _Zstandard,
}  # fmt: skip
