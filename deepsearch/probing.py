"""`python -m deepsearch.probing HOST:PORT`: whether the gRPC server there serves, as an exit code, for a container's health check.

It speaks the two messages of gRPC's health protocol as bytes, because importing that protocol would cost more than the check.
"""

from __future__ import annotations

import os
import sys

SECONDS = 3.0
"""Longest the server may take to answer."""

_WHOLE_SERVER = b""
_SERVING = b"\x08\x01"


def serving(address: str) -> bool:
    """Whether the server at `address` (host:port) reports SERVING within `SECONDS`."""
    import grpc  # noqa: PLC0415  (after main has told it to be quiet)

    with grpc.insecure_channel(address) as channel:
        try:
            return bool(channel.unary_unary("/grpc.health.v1.Health/Check")(_WHOLE_SERVER, timeout=SECONDS) == _SERVING)
        except grpc.RpcError:
            return False


if __name__ == "__main__":
    os.environ["GRPC_VERBOSITY"] = "NONE"
    sys.exit(0 if serving(sys.argv[1]) else 1)
