"""A local server with Kombo's API and generated data that tests can change and make fail."""

from kombo_sandbox.handle import Handle, Happening, Request, SandboxError
from kombo_sandbox.sandbox import Sandbox

__all__ = ["Handle", "Happening", "Request", "Sandbox", "SandboxError"]
