"""The images that pages show: fetched as politely and guardedly as pages, measured, each picture once."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from providers.guarded import AddressPolicy, GuardedClient, Resolve
from providers.reader.picture_bytes import MIN_PIXELS, Measured, measure
from providers.reader.robots import PoliteVisits
from providers.reader.workers import WorkerDied, light_pool
from schemas.errors import ReadError
from schemas.reading import Image
from schemas.settings import Settings

MOST = 40
"""Images that are fetched for one answer."""
_MAX_BYTES = 20_000_000
_SECONDS = 10.0
_DECODING_SECONDS = 5.0
_ACCEPT = "image/webp,image/png,image/jpeg,image/gif,*/*;q=0.1"
# Two images are the same picture when their cells differ by no more than this, of 255, on the average and in any one: scaling and
# another quality of JPEG change less, another curve in the same diagram changes more.
_MEAN_DIFFERENCE = 4.0
_CELL_DIFFERENCE = 40
_RATIO_DIFFERENCE = 0.02


@dataclass(frozen=True)
class Picture:
    """An image that was fetched."""

    image: Image
    """As the page named it."""
    measured: Measured
    digest: str
    """SHA-256 of its bytes."""


class PictureReader:
    """Fetches images, READER_CONCURRENCY at the same time. `resolve` takes the place of the system's name resolution."""

    def __init__(self, settings: Settings, *, resolve: Resolve | None = None) -> None:
        agent = settings.reader_user_agent
        self._client = GuardedClient(AddressPolicy(settings.deepsearch_allow_hosts), user_agent=agent, resolve=resolve)
        name = re.match(r"\s*([A-Za-z_-]*)", agent)
        self._visits = PoliteVisits(self._client, agent=name.group(1) if name else "", obey=settings.reader_robots)
        self._places = asyncio.Semaphore(settings.reader_concurrency)

    async def read(self, images: Sequence[Image], seconds: float) -> tuple[list[Picture], list[str]]:
        """The first 40 of `images` that can be fetched within `seconds`, in order, those below 256 x 256 and repeated pictures (the
        same address, the same bytes, or another size) left out; and one line for each kind of failure."""
        once = list({image.url: image for image in reversed(images)}.values())[::-1][:MOST]
        tasks = [asyncio.create_task(self._read(image)) for image in once]
        try:
            if tasks and seconds > 0:
                await asyncio.wait(tasks, timeout=seconds)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        found: list[Picture] = []
        failed: list[str] = []
        late = 0
        for result in results:
            if isinstance(result, Picture):
                found.append(result)
            elif isinstance(result, asyncio.CancelledError):
                late += 1
            elif isinstance(result, ReadError):
                failed.append(str(result))
            else:
                raise result
        errors = [f"{_counted(len(failed))} could not be used: {failed[0]}"] if failed else []
        if late:
            errors.append(f"{_counted(late)} did not arrive within {seconds:.1f} s")
        shown = [picture for picture in found if min(picture.measured.width, picture.measured.height) >= MIN_PIXELS]
        return _each_once(shown), errors

    async def close(self) -> None:
        """Close connections."""
        await self._client.close()

    async def _read(self, image: Image) -> Picture:
        async with self._places:
            fetched = await self._client.get(
                image.url, timeout_seconds=_SECONDS, max_bytes=_MAX_BYTES, accept=_ACCEPT, visit=self._visits.visit
            )
            if not 200 <= fetched.status < 300:
                raise ReadError(f"{fetched.url[:200]} answers HTTP {fetched.status}")
            try:
                measured = await light_pool().run(measure, fetched.body, timeout=_DECODING_SECONDS)
            except (ReadError, WorkerDied, MemoryError, TimeoutError) as error:
                raise ReadError(f"{fetched.url[:200]} {error}") from error
            return Picture(image, measured, hashlib.sha256(fetched.body).hexdigest())


def _counted(number: int) -> str:
    return "an image" if number == 1 else f"{number} images"


def _each_once(pictures: Sequence[Picture]) -> list[Picture]:
    """Of several sizes of one picture the largest, where the first of them stood and with its caption."""
    kept: list[Picture] = []
    for picture in pictures:
        same = next((i for i, other in enumerate(kept) if _are_same(picture, other)), None)
        if same is None:
            kept.append(picture)
        elif picture.measured.width > kept[same].measured.width:
            text = kept[same].image.text or picture.image.text
            kept[same] = replace(picture, image=picture.image.model_copy(update={"text": text}))
    return kept


def _are_same(one: Picture, other: Picture) -> bool:
    if one.digest == other.digest:
        return True
    a, b = one.measured, other.measured
    if abs(a.width * b.height / (a.height * b.width) - 1) > _RATIO_DIFFERENCE:
        return False
    difference = np.abs(np.frombuffer(a.cells, np.uint8).astype(np.int16) - np.frombuffer(b.cells, np.uint8))
    return bool(difference.mean() <= _MEAN_DIFFERENCE and difference.max() <= _CELL_DIFFERENCE)
