"""Operations that run when a request arrives, so that data changes while a client reads it."""

from collections.abc import Callable
from typing import Any


class Schedule:
    """Counts list requests, and runs the operations scheduled for each before its response.

    Attributes:
        results: The results of the operations that ran.
    """

    def __init__(self) -> None:
        self._pending: dict[int, list[tuple[str, Callable[[], Any]]]] = {}
        self._requests = 0
        self.results: list[dict[str, Any]] = []

    def add(self, operation: str, run: Callable[[], Any], *, before_request: int) -> None:
        """Schedule an operation before a request; 1 is the next one."""
        self._pending.setdefault(self._requests + before_request, []).append((operation, run))

    def count_request(self) -> None:
        self._requests += 1
        for operation, run in self._pending.pop(self._requests, ()):
            result = {"operation": operation, "result": None, "error": None}
            try:
                result["result"] = run()
            except Exception as error:  # noqa: BLE001 - the request itself must succeed
                # For example, an earlier operation may have deleted the record.
                result["error"] = str(error)
            self.results.append(result)

    def clear(self) -> None:
        self._pending.clear()
        self.results.clear()
