"""Guarding the door: who may ask, how much, how big and how slowly, over which transport, and what a response says beside its body.

`http` and `rpc` stand before every HTTP request and gRPC call; `runs` gives each run its place wherever it comes from.
docs/security.md says what they promise.
"""
