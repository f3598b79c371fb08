"""Which settings make a model."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from providers.llm import create_model
from providers.llm.base import Role
from schemas.errors import ConfigurationError
from schemas.settings import Settings

ROOT = Path(__file__).parents[3]


def test_no_model_is_extractive_mode(make_settings: Callable[..., Settings]) -> None:
    assert create_model(make_settings(openai_api_key="k")) is None


def test_extractive_mode_loads_no_heavy_package(tmp_path: Path) -> None:
    program = (
        "import sys; from providers.llm import create_model; from schemas.settings import Settings;"
        "assert create_model(Settings(_env_file=None)) is None;"
        "print(sorted({'openai', 'rs_bpe', 'json_repair', 'httpx', 'httpx2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("values", "message", "field"),
    [
        (
            {"llm_model_planner": "p", "llm_model_coder": "c", "openai_api_key": "k"},
            "LLM_MODEL is unset, and so is LLM_MODEL_EVALUATOR, LLM_MODEL_FINALIZER: set LLM_MODEL",
            "llm_model",
        ),
        (
            {"llm_model": "m"},
            "a model is set, but no server for it: set OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own",
            "openai_api_key",
        ),
        (
            {"llm_model": "m", "openai_base_url": "localhost:11434"},
            "OPENAI_BASE_URL is no URL such as http://localhost:11434/v1",
            "openai_base_url",
        ),
    ],
)
def test_what_is_missing_is_named(make_settings: Callable[..., Settings], values: dict[str, str], message: str, field: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        create_model(make_settings(**values))
    assert (str(caught.value), caught.value.field) == (message, field)


def test_a_model_for_every_role_needs_no_common_one(make_settings: Callable[..., Settings]) -> None:
    roles: tuple[Role, ...] = ("planner", "coder", "evaluator", "finalizer")
    model = create_model(make_settings(**{f"llm_model_{role}": role for role in roles}, openai_base_url="http://localhost:1/v1"))
    assert model is not None
    assert [model.name(role) for role in roles] == list(roles)
