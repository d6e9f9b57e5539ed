"""Ctrl-C during a run: noted at once, obeyed when the present block is complete."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class InterruptFlag:
    """A context in which the first Ctrl-C only makes the flag true; a second one interrupts at once.

    Outside the main thread Python delivers no signals: the flag then stays false.
    """

    def __init__(self) -> None:
        self._raised = False
        self._previous: Any = None

    def __bool__(self) -> bool:
        return self._raised

    def __enter__(self) -> "InterruptFlag":
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._raised:
            raise KeyboardInterrupt
        self._raised = True
