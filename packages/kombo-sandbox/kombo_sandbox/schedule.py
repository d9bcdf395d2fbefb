"""Operations that wait for a request, so that Kombo changes while it is being read."""

from collections.abc import Callable
from typing import Any


class Schedule:
    """Counts the requests for lists, and does what waits for each before it is answered."""

    def __init__(self) -> None:
        self._waiting: dict[int, list[tuple[str, Callable[[], Any]]]] = {}
        self._requests = 0
        self.happened: list[dict[str, Any]] = []

    def add(self, operation: str, run: Callable[[], Any], *, before_request: int) -> None:
        """Wait for a request: 1 is the next one."""
        self._waiting.setdefault(self._requests + before_request, []).append((operation, run))

    def request_came(self) -> None:
        self._requests += 1
        for operation, run in self._waiting.pop(self._requests, ()):
            happening = {"operation": operation, "result": None, "error": None}
            try:
                happening["result"] = run()
            except Exception as error:  # noqa: BLE001 - the request itself must succeed
                # There may be no such record any more: whoever scheduled it cannot know.
                happening["error"] = str(error)
            self.happened.append(happening)

    def clear(self) -> None:
        self._waiting.clear()
        self.happened.clear()
