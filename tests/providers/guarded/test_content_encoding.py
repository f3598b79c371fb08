"""Decompression as data arrive: any pieces of any size, and bombs that must not take more memory than is wanted."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from providers.content_encoding import Body, Damaged, TooLarge, decoder_for

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": lambda data: brotli.compress(data, quality=4),
    "zstd": zstandard.compress,
}


def decoded(coding: str, pieces: list[bytes], most: int) -> bytes:
    body, decoder = Body(most), decoder_for(coding)
    assert decoder is not None
    try:
        for piece in pieces:
            decoder.feed(piece, body)
        decoder.finish()
    except TooLarge:
        assert len(bytes(body)) == most
    return bytes(body)


@given(st.sampled_from(sorted(COMPRESS)), st.binary(max_size=300), st.integers(1, 500), st.integers(1, 50), st.integers(0, 200_000))
def test_any_pieces_make_the_same_whole(coding: str, seed: bytes, times: int, size: int, most: int) -> None:
    data = seed * times
    sent = COMPRESS[coding](data)
    assert decoded(coding, [sent[i : i + size] for i in range(0, len(sent), size)], most) == data[:most]


@given(st.sampled_from(sorted(COMPRESS)), st.binary(max_size=500))
def test_rubbish_is_damaged_or_text(coding: str, data: bytes) -> None:
    try:
        decoded(coding, [data], 1_000)
    except Damaged as error:
        assert str(error)


@given(st.sampled_from(["gzip", "deflate", "br", "zstd"]), st.integers(0, 400), st.integers(0, 255))
def test_damage_in_the_middle(coding: str, position: int, byte: int) -> None:
    sent = bytearray(COMPRESS[coding](b"".join(b"%d " % (n * n) for n in range(300))))
    sent[position % len(sent)] = byte
    try:
        assert len(decoded(coding, [bytes(sent)], 10_000)) <= 10_000
    except Damaged as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("coding", ["compress", "gzip, gzip", "br, zstd", "gzip;q=1", "x", "gzip\0"])
def test_codings_that_were_not_asked_for(coding: str) -> None:
    assert decoder_for(coding) is None


def test_a_window_that_http_does_not_allow() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(Damaged, match="too much memory"):
        decoded("zstd", [compressor.compress(bytes(10)) + compressor.flush()], 100)


_BOMBS = """
import gzip, json, sys, zlib, brotli, zstandard
from providers.content_encoding import Body, TooLarge, decoder_for
megabyte = bytes(1 << 20)
def of(compressor):
    return b"".join([compressor.compress(megabyte) for _ in range(300)] + [compressor.flush()])
class Brotli:
    def __init__(self): self.c = brotli.Compressor(quality=5)
    def compress(self, data): return self.c.process(data)
    def flush(self): return self.c.finish()
bombs = {"gzip": of(zlib.compressobj(9, wbits=31)), "deflate": of(zlib.compressobj(9)), "br": of(Brotli())}
bombs["zstd"] = of(zstandard.ZstdCompressor().compressobj())
bombs["gzip "] = gzip.compress(bombs["gzip"])  # a bomb in a bomb: only the outer one is undone
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
before, found = peak(), {}
for coding, bomb in bombs.items():
    body, decoder = Body(2_000_000), decoder_for(coding)
    try:
        decoder.feed(bomb, body)
    except TooLarge:
        pass
    found[coding] = (len(bomb), len(bytes(body)))
print(json.dumps({"grown": peak() - before, "found": found}))
"""


def test_bombs_of_300_megabytes_take_the_limit_and_little_more() -> None:
    result = json.loads(subprocess.run([sys.executable, "-c", _BOMBS], check=True, capture_output=True, text=True).stdout)
    for coding in ("gzip", "deflate", "br", "zstd"):
        sent, made = result["found"][coding]
        assert sent < 400_000 and made == 2_000_000
    assert result["found"]["gzip "][1] < 400_000
    assert result["grown"] < 30  # the windows of brotli and zstd are up to 16 and 8 megabytes
