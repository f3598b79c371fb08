"""The web page of the gateway: ask, watch the run, read the answer and check every quote of it."""

from gateway.page.routes import install

__all__ = ["install"]
