"""The outline of a report that somebody has changed, from a file."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from schemas.errors import InvalidRequest
from schemas.reporting import Outline

_MOST_BYTES = 1_000_000


def outline_in(file: Path) -> Outline:
    """The outline in a JSON file: `{"title": "…", "sections": [{"heading": "…", "brief": "…"}]}`.

    Raises `InvalidRequest` naming the file when it cannot be read or holds something else.
    """
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise InvalidRequest(f"{file} has more than {_MOST_BYTES:,} bytes", field="outline")
        outline = Outline.model_validate_json(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidRequest(f"{file} cannot be read: {error.strerror}", field="outline") from error
    except (ValidationError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{file} holds no outline: give JSON with title and sections", field="outline") from error
    if not outline.sections:
        raise InvalidRequest(f"{file} holds no sections: name at least one, or leave --outline out", field="outline")
    return outline
