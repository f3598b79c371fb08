"""Where generated JavaScript runs: a process of its own that can compute and do nothing else."""

from providers.sandbox.base import Sandbox, SandboxLimits
from providers.sandbox.v8 import V8Sandbox
from schemas.settings import Settings

__all__ = ["Sandbox", "SandboxLimits", "create_sandbox"]


def create_sandbox(settings: Settings) -> Sandbox:
    """The sandbox, which lets no program exceed SANDBOX_SECONDS and SANDBOX_MEMORY_MB whatever a call asks for."""
    return V8Sandbox(SandboxLimits(seconds=settings.sandbox_seconds, memory_mb=settings.sandbox_memory_mb))
