"""The settings as a person meets them: loaded with clear complaints, and listed with values and meanings."""

from __future__ import annotations

import re
from typing import NamedTuple, get_args

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from schemas.errors import ConfigurationError
from schemas.settings import Settings, get_settings

STARS = "********"
_USER_INFO = re.compile(r"(?<=://)[^/@\s]+(?=@)")


class SettingRow(NamedTuple):
    """One setting: the name of its environment variable, its value and default as text, and what it means."""

    name: str
    value: str
    default: str
    description: str


def load_settings() -> Settings:
    """The process's settings. Raises `ConfigurationError`, one line for each wrong setting and never with its value."""
    try:
        return get_settings()
    except ValidationError as error:
        # A value may be a secret in the wrong place, so only the name and the rule are told.
        lines = [f"{str(problem['loc'][0]).upper()}: {problem['msg'].lower()}" for problem in error.errors(include_input=False)]
        raise ConfigurationError("\n".join(f"{line}; correct it in the environment or in .env" for line in lines)) from None


def setting_rows(settings: Settings | None = None) -> list[SettingRow]:
    """Every setting in the order of their definition. Secrets, and passwords in URLs, are stars; unset is empty."""
    return [
        SettingRow(
            name.upper(),
            _shown(getattr(settings, name), field) if settings else "",
            "the platform's data folder" if field.default is PydanticUndefined else _shown(field.default, field),
            field.description or "",
        )
        for name, field in Settings.model_fields.items()
    ]


def _shown(value: object, field: FieldInfo) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr) or SecretStr in get_args(field.annotation):
        return STARS
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return _USER_INFO.sub(STARS, str(value))
