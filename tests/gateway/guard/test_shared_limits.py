"""Real gateways that share the limits of their callers through Redis."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateway.guard.guarded_flow import serving
from tests.servers import PASSWORD, QUOTED_PASSWORD, RedisServer

pytestmark = pytest.mark.flow

SECRETS = (PASSWORD, QUOTED_PASSWORD, "se%2Fcret")


def ask(question: str, run_id: str = "") -> dict[str, Any]:
    return {"data": {"question": question, "run_id": run_id}}


async def run(gateway: Any, key: str, question: str = "q", run_id: str = "") -> str:
    """Ask for a run; `done`, or the code of the refusal."""
    async with httpx.AsyncClient(base_url=gateway.http, timeout=60, headers={"x-api-key": key}) as http:
        answer = await http.post("/research", json=ask(question, run_id))
    return "done" if answer.status_code == 200 else str(answer.json()["error"]["code"])


async def eventually(gateway: Any, key: str, wanted: str) -> None:
    """Ask until it is answered like this."""
    async with asyncio.timeout(40):
        while await run(gateway, key) != wanted:
            await asyncio.sleep(0.1)


async def test_gateways_share_a_minute_places_and_a_day(start: Callable[..., Any], until: Any, redis_url: str, tmp_path: Path) -> None:
    shared = {
        "DEEPSEARCH_LIMITS_URL": redis_url, "DEEPSEARCH_API_KEYS": "k1,k2,k3", "DEEPSEARCH_KEY_REQUESTS_PER_MINUTE": "12",
        "DEEPSEARCH_KEY_RUNS": "1", "DEEPSEARCH_KEY_DAILY_TOKENS": "250",
    }  # fmt: skip
    one, two = start(**shared, CASE="shared 1"), start(**shared, CASE="shared 2")

    # Requests in a minute.
    async with httpx.AsyncClient(timeout=60, headers={"x-api-key": "k1"}) as http:
        models = [f"{gateway.http}/v1/models" for gateway in (one, two)]
        assert {(await http.get(url)).status_code for url in models * 6} == {200}
        for url in models:
            refused = await http.get(url)
            assert refused.status_code == 429 and 1 <= int(refused.headers["retry-after"]) <= 60

    # Runs at a time, jobs too.
    held = asyncio.create_task(run(one, "k2", "hold shared", "h1"))
    await until(lambda: "held shared" in one.notes)
    assert await run(two, "k2") == "too_many_runs"
    one.let_end("shared")
    assert await held == "done"
    async with httpx.AsyncClient(base_url=two.http, timeout=60, headers={"x-api-key": "k2"}) as http:
        assert (await http.post("/v1/research", json={"question": "hold job", "run_id": "j1"})).status_code == 202
    assert await run(one, "k2") == "too_many_runs"
    two.let_end("job")
    await until(lambda: two.measured("deepsearch_runs_under_way") == 0)

    # Tokens in a day: a run that both gateways see is paid once, and a gateway that begins anew knows of all of it.
    assert [await run(gateway, "k3", run_id="r1") for gateway in (one, two)] == ["done", "done"]
    assert await run(two, "k3", run_id="r2") == "done"
    assert await run(one, "k3", run_id="r3") == "done"  # 200 of 250 were used
    assert [await run(gateway, "k3") for gateway in (one, two)] == ["daily_tokens_used"] * 2
    with serving(tmp_path, **shared) as begun_anew:
        assert await run(begun_anew, "k3") == "daily_tokens_used"
        out, err = begun_anew.stop()
        assert not [secret for secret in SECRETS if secret in out + err]


async def test_the_places_of_a_gateway_that_is_killed_are_free_after_a_while(start: Callable[..., Any], until: Any, redis_url: str) -> None:
    shared = {"DEEPSEARCH_LIMITS_URL": redis_url, "DEEPSEARCH_API_KEYS": "k1", "DEEPSEARCH_KEY_RUNS": "1", "DEEPSEARCH_LEASE_SECONDS": "2"}
    killed, other = start(**shared, CASE="killed"), start(**shared, CASE="other")
    held = asyncio.create_task(run(killed, "k1", "hold killed", "h1"))
    await until(lambda: "held killed" in killed.notes)
    assert await run(other, "k1") == "too_many_runs"
    os.kill(killed.gateway, signal.SIGKILL)
    await asyncio.gather(held, return_exceptions=True)
    await eventually(other, "k1", "done")


async def test_gateways_go_on_without_redis_and_come_back_to_it(until: Any) -> None:
    with RedisServer() as server:
        shared = {
            "DEEPSEARCH_LIMITS_URL": server.url(0), "DEEPSEARCH_API_KEYS": "k1", "DEEPSEARCH_KEY_RUNS": "1", "DEEPSEARCH_LEASE_SECONDS": "2"
        }  # fmt: skip
        homes = [Path(tempfile.mkdtemp(dir=server.folder)) for _ in range(2)]
        with serving(homes[0], **shared) as one, serving(homes[1], **shared) as two:
            assert await run(one, "k1") == "done"
            server.kill()
            assert [await run(gateway, "k1") for gateway in (one, two) for _ in range(5)] == ["done"] * 10
            held = asyncio.create_task(run(one, "k1", "hold away", "h1"))
            await until(lambda: "held away" in one.notes)
            assert await run(one, "k1") == "too_many_runs"  # by its own count
            assert await run(two, "k1") == "done"
            server.start()
            await eventually(two, "k1", "too_many_runs")
            one.let_end("away")
            assert await held == "done"
            await eventually(two, "k1", "done")
            for gateway in (one, two):
                out, err = gateway.stop()
                assert err.count("until it is back this gateway counts limits by itself") == 1, err
                assert not [secret for secret in SECRETS if secret in out + err] and "Traceback" not in err


def test_a_gateway_does_not_start_without_its_redis(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match="DEEPSEARCH_LIMITS_URL: the server cannot be used") as raised,
        serving(tmp_path, DEEPSEARCH_LIMITS_URL=f"redis://:{QUOTED_PASSWORD}@127.0.0.1:1/0"),
    ):
        pass
    assert not [secret for secret in SECRETS if secret in str(raised.value)]
