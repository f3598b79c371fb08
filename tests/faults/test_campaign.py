"""A hundred runs while everything that can fail does: all end with an answer, nothing is lost, nothing is told or paid twice."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from providers.journal import create_journal
from schemas.errors import DeepSearchError
from schemas.research import ResearchRequest
from schemas.settings import Settings
from tests.faults.accounting import Bill, Run, bill_of, check_seen, runs_of
from tests.faults.chaos import Chaos
from tests.faults.clients import WAYS, Client, Seen
from tests.faults.relay import Network
from tests.faults.stack import PROCESSES, Stack, kind_of
from tests.faults.upstream import Upstream
from tests.gateway.flow_process import processes_of
from tests.scripted.every_mode import question
from tests.servers import PostgresServer, RedisServer

pytestmark = [pytest.mark.flow, pytest.mark.slow]

SEED = int(os.environ.get("DEEPSEARCH_FAULTS_SEED") or random.SystemRandom().randrange(1_000_000))
"""DEEPSEARCH_FAULTS_SEED repeats a campaign: the same questions in the same ways, the same faults in the same order and at the same
intervals. Which call a fault meets also depends on the machine."""
RUNS = {"postgres": 100, "redis": 24}
"""How many questions; DEEPSEARCH_FAULTS_RUNS is another number for each."""
AT_ONCE = 8
REQUESTS_PER_FAULT = 25
"""On average; a run sends about as many outside."""
MODES: list[dict[str, Any]] = [
    *[{}] * 6,
    *[{"team_size": 2}] * 2,
    *[{"mode": "report", "words": 120, "reasoning_effort": "low"}] * 2,
]


@dataclass
class Campaign:
    """What there was, for the accounts. `bills` are by subject."""

    seen: list[Seen]
    runs: dict[str, Run]
    upstream: Upstream
    chaos: Chaos
    bills: dict[str, Bill] = field(default_factory=dict)


@pytest.fixture(params=RUNS)
def storage(request: pytest.FixtureRequest) -> Iterator[Any]:
    with PostgresServer() if request.param == "postgres" else RedisServer(durable=True) as server:
        yield server


@pytest.mark.timeout(1500)
async def test_campaign(storage: Any, tmp_path: Path) -> None:
    kind = "postgres" if isinstance(storage, PostgresServer) else "redis"
    print(f"\nDEEPSEARCH_FAULTS_SEED={SEED} ({kind})")
    chance = random.Random(SEED)
    state_url = storage.url()
    with ExitStack() as held:
        upstream = held.enter_context(Upstream(SEED))
        network = held.enter_context(Network())
        relay = network.add("journal", storage.port)
        stack = Stack(
            tmp_path, upstream, network, _through(state_url, relay.port),
            LLM_TIMEOUT_SECONDS="8", SEARCH_TIMEOUT_SECONDS="8", READER_TIMEOUT_SECONDS="8", READER_ROBOTS="false",
            EMBEDDING_PROVIDER="none", RERANK_PROVIDER="none", SEARCH_PER_MINUTE="1000000", DEEPSEARCH_KEY_RUNS="1000",
        )  # fmt: skip
        held.enter_context(stack)
        chaos = Chaos(stack, upstream, storage, random.Random(SEED + 1))
        began = time.monotonic()
        seen = await _ask_all(stack, chaos, chance, int(os.environ.get("DEEPSEARCH_FAULTS_RUNS") or RUNS[kind]))
        seconds = time.monotonic() - began
        journal = create_journal(Settings(_env_file=None, deepsearch_state_url=state_url, deepsearch_home=tmp_path))
        try:
            runs = await _settled(journal, chaos)
        finally:
            await journal.close()
        campaign = Campaign(seen, runs, upstream, chaos)
        _check(campaign)
        if len(seen) >= RUNS["postgres"]:
            ended = {fault.where for fault in chaos.faults if fault.what in ("kill", "stop")}
            assert ended == {kind_of(name) for name in PROCESSES}, ended
        stopped = await asyncio.to_thread(stack.stop_all)
        assert max(stopped.values()) < 60, stopped
        await _nobody_holds(storage, state_url)
        left = [number for number in processes_of(stack.forking) if number != stack.forking]
        assert left == [], left
        assert "Traceback" not in stack.logs(), stack.logs()
        print(_table(campaign, seconds))


async def _ask_all(stack: Stack, chaos: Chaos, chance: random.Random, number: int) -> list[Seen]:
    """Every question, `AT_ONCE` at a time, while chaos rages."""
    work = []
    for each in range(1, number + 1):
        request = ResearchRequest(question=question(each), no_direct_answer=True, run_id=f"run-{each}", **MODES[each % len(MODES)])
        work.append((WAYS[each % len(WAYS)], Client(stack, random.Random(chance.random()), f"C{each}", request)))
    chance.shuffle(work)
    turns, stop = asyncio.Semaphore(AT_ONCE), asyncio.Event()

    async def ask(way: str, client: Client) -> None:
        async with turns:
            try:
                await client.ask(way)
            except (DeepSearchError, AssertionError, TimeoutError) as error:
                client.seen.failure = f"{way}: {type(error).__name__}: {error}"

    raging = asyncio.create_task(chaos.rage(stop, REQUESTS_PER_FAULT))
    async with asyncio.TaskGroup() as asking:
        for way, client in work:
            asking.create_task(ask(way, client))
    stop.set()
    await raging
    return [client.seen for _, client in work]


async def _settled(journal: Any, chaos: Chaos) -> dict[str, Run]:
    """All runs, when nobody drives one any more."""
    async with asyncio.timeout(60):
        while any(run.state == "running" for run in await journal.runs(1000)) or await journal.unfinished(100):
            await asyncio.sleep(0.2)
    return await runs_of(journal, chaos.faults)


def _check(campaign: Campaign) -> None:
    seen, runs, upstream = campaign.seen, campaign.runs, campaign.upstream
    families: defaultdict[str, list[Run]] = defaultdict(list)
    for run in runs.values():
        families[f"C{run.summary.question.partition(' C')[2].rstrip('?').split()[0]}"].append(run)
    problems, bills = [], campaign.bills
    for one in seen:
        if one.failure:
            problems.append(f"{one.subject}, run {one.run_id}, {one.breaks} breaks: {one.failure}")
            continue
        try:
            check_seen(one, runs[one.run_id])
            bills[one.subject] = bill_of(one.subject, families[one.subject], upstream.accounts[one.subject])
            answer = runs[one.run_id].summary
            in_peace = not upstream.accounts[one.subject].refused and bills[one.subject].in_peace
            assert answer.stop_reason == "answered" or not in_peace, f"{one.run_id} ended by {answer.stop_reason} although nothing happened"
        except AssertionError as error:
            problems.append(str(error))
    assert "" not in upstream.accounts, upstream.accounts[""]
    assert not problems, "\n".join([f"{len(problems)} of {len(seen)}, seed {SEED}:", *problems])
    assert set(families) == {one.subject for one in seen}
    # Each fault may make every run that is under way lose the calls it has in flight, a team's of all its researchers.
    lost = sum(bill.lost_calls for bill in bills.values())
    repeated = sum(sum(bill.repeated.values()) for bill in bills.values())
    assert max(lost, repeated) <= len(campaign.chaos.faults) * AT_ONCE * 4, (lost, repeated)


async def _nobody_holds(storage: Any, state_url: str) -> None:
    """No connection and no lock is left at the journal's server."""
    database = state_url.rpartition("/")[2]
    async with asyncio.timeout(30):
        while True:
            if isinstance(storage, PostgresServer):
                connections = storage.run(f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'")
                locks = storage.run(
                    f"SELECT count(*) FROM pg_locks WHERE database = (SELECT oid FROM pg_database WHERE datname = '{database}')"
                )
                if (connections, locks) == ("0", "0"):
                    return
            else:
                import redis

                with redis.Redis.from_url(state_url) as client:
                    if len(client.client_list()) == 1:
                        return
            await asyncio.sleep(0.1)


def _through(url: str, port: int) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{port}")))


def _table(campaign: Campaign, seconds: float) -> str:
    seen, runs, bills = campaign.seen, campaign.runs, campaign.bills.values()
    ended = Counter(runs[one.run_id].summary.stop_reason for one in seen)
    faults = campaign.chaos.counted()
    repeated, answered = Counter[str](), Counter[str]()
    for bill in bills:
        repeated.update(bill.repeated)
    for account in campaign.upstream.accounts.values():
        answered.update(account.answered)
    times = sorted(one.seconds for one in seen)

    def of(*kinds: str) -> str:
        found = {name: count for name, count in faults.items() if name.startswith(kinds)}
        return f"{sum(found.values())}: " + ", ".join(f"{name} {count}" for name, count in sorted(found.items()))

    reasons = ", ".join(f"{reason} {count}" for reason, count in ended.most_common())
    rows = {
        "runs": f"{len(seen)}, and {len(runs) - len(seen)} of teams or asked anew; with an answer {len(seen)}: {reasons}",
        "killed, stopped": of("kill", "stop"),
        "networks": of("cut", "refuse", "freeze"),
        "journal's server": of("restart"),
        "storms": f"{of('storm')}; {campaign.upstream.storms_hit} requests refused",
        "events": f"{sum(len(run.entries) for run in runs.values())} in journals; lost 0, told twice 0",
        "clients": f"{sum(one.breaks for one in seen)} times broken off, {sum(one.asked_again for one in seen)} times asked anew, "
        f"{sum(len(one.refusals) for one in seen)} times refused for a moment",
        "runs taken up": f"{sum(run.resumed for run in runs.values())} times",
        "calls lost": f"{sum(bill.lost_calls for bill in bills)}, made again",
        "paid once": f"all that {sum(not any(bill.repeated.values()) for bill in bills)} runs asked for, to the request",
        "requests": ", ".join(f"{name} {count}, repeated {repeated[name]}" for name, count in sorted(answered.items())),
        "seconds": f"{seconds:.0f}; a run {times[len(times) // 2]:.1f} (median), {times[-1]:.1f} (longest)",
    }
    return "\n".join(f"  {name:18}{value}" for name, value in rows.items())
