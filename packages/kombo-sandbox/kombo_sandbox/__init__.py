"""A local Kombo over real HTTP, with believable data, that can be changed and made to fail."""

from kombo_sandbox.handle import Handle, Happening, Request, SandboxError
from kombo_sandbox.sandbox import Sandbox

__all__ = ["Handle", "Happening", "Request", "Sandbox", "SandboxError"]
