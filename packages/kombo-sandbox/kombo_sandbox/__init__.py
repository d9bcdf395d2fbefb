"""A local server with Kombo's API and generated data, for tests."""

from kombo_sandbox.handle import Handle, Request, SandboxError, ScheduledResult
from kombo_sandbox.sandbox import Sandbox

__all__ = ["Handle", "Request", "Sandbox", "SandboxError", "ScheduledResult"]
