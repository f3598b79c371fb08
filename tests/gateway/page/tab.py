"""A tab of a browser, as the tests of the page use it."""

from __future__ import annotations

import re
from typing import Any

NOTHING = re.compile(r"(?!)")
REFUSED = re.compile("Failed to load resource")


class Tab:
    """A tab of a browser of its own. What its console says is kept; it must not say that something was broken or forbidden."""

    def __init__(self, browser: Any, url: str, **options: Any) -> None:
        self.context = browser.new_context(base_url=url, **{"locale": "en-GB", "viewport": {"width": 1280, "height": 900}, **options})
        self.context.set_default_timeout(60_000)
        self.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.requests: list[str] = []
        self.expected = NOTHING
        self.page.on("console", lambda message: self.said.append(message.text) if message.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.said.append(f"uncaught: {error}"))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.add_init_script(
            "addEventListener('securitypolicyviolation', (event) => console.error(`CSP ${event.violatedDirective} ${event.blockedURI}`))"
        )

    def ask(self, question: str) -> None:
        """Write a question and send it with the keyboard."""
        self.page.goto("/")
        self.page.get_by_label("Your question").fill(question)
        self.page.keyboard.press("Control+Enter")
        self.page.wait_for_url("**/?run=*")

    def ended(self, state: str = "finished") -> None:
        self.page.locator(f".run[data-state={state}]").wait_for()

    def texts(self, selector: str) -> list[str]:
        return [" ".join(text.split()) for text in self.page.locator(selector).all_inner_texts()]

    def module(self, name: str, expression: str, *values: Any) -> Any:
        """The value of a JavaScript expression over `m`, a module of the page, and `v`, the values."""
        return self.page.evaluate(f"async (v) => {{ const m = await import('/assets/{name}.js'); return {expression}; }}", list(values))

    def close(self) -> None:
        self.context.close()
        assert [line for line in self.said if not self.expected.search(line)] == []
