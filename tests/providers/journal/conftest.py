"""Every test that asks for `storage` runs on each of the three."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from journal_storage import NAMES, Storage


@pytest.fixture(params=NAMES)
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Storage]:
    name = request.param
    url = str(tmp_path / "deep" / "runs.db") if name == "sqlite" else request.getfixturevalue(f"{name}_url")
    made = Storage(name, url)
    yield made
    await made.close()
