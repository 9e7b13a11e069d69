"""What macOS's library is asked and what is made of its answers, with a library of the test's own: no Mac is needed."""

from __future__ import annotations

import os
import struct
import sys
from typing import Any

import pytest

from speedtest_tui.core import darwin


class Library:
    """Answers as libSystem does: fills the caller's buffer, and returns 0."""

    def __init__(self, code: int = 0) -> None:
        self._code = code
        self.asked: list[tuple[Any, ...]] = []

    def proc_pid_rusage(self, pid: int, flavor: int, buffer: Any) -> int:
        self.asked.append((pid, flavor, len(buffer)))
        # By offsets counted in Apple's header, not by our own list of fields.
        for offset, value in ((72, 900), (144, 77), (240, 2**63 + 1)):
            struct.pack_into("=Q", buffer, offset, value)
        return self._code

    def pthread_set_qos_class_self_np(self, qos: int, priority: int) -> int:
        self.asked.append((qos, priority))
        return self._code


def test_the_structure_is_as_long_as_apples() -> None:
    assert darwin.LAYOUT.size == 296
    assert len(darwin.FIELDS) == len(set(darwin.FIELDS)) == 35


def test_usage_is_read_from_the_right_places() -> None:
    library = Library()
    assert darwin.usage(42, library) == darwin.Usage(footprint=900, peak_footprint=2**63 + 1, read_bytes=77)
    assert library.asked == [(42, 4, 296)]


def test_quality_of_service() -> None:
    library = Library()
    assert darwin.ask_for_fast_cores(library)
    assert library.asked == [(0x19, 0)]


@pytest.mark.parametrize("library", [Library(-1), object()], ids=["refuses", "lacks both functions"])
def test_a_library_that_does_not_answer(library: Any) -> None:
    assert darwin.usage(42, library) is None
    assert not darwin.ask_for_fast_cores(library)


@pytest.mark.skipif(sys.platform == "darwin", reason="there it answers")
def test_elsewhere_nobody_is_asked() -> None:
    assert darwin.system_library() is None
    assert darwin.usage(os.getpid()) is None
    assert not darwin.ask_for_fast_cores()


class Framework:
    """libobjc and AVFoundation in one: each function is called as C would be, and notes what it was given."""

    AVMediaTypeAudio = 77

    def __init__(self, answer: int, device: int | None = 5) -> None:
        def message(*words: Any) -> int:
            assert words == (5, 6, 77)
            return answer

        def selector(name: bytes) -> int:
            assert name == b"authorizationStatusForMediaType:"
            return 6

        def named(name: bytes) -> int | None:
            assert name == b"AVCaptureDevice"
            return device

        self.objc_msgSend, self.sel_registerName, self.objc_getClass = message, selector, named


@pytest.mark.parametrize(
    ("answer", "state"), [(0, "not-asked"), (1, "restricted"), (2, "denied"), (3, "allowed"), (4, None), (-1, None)]
)
def test_the_permission_to_record(answer: int, state: str | None) -> None:
    framework = Framework(answer)
    assert darwin.microphone_permission((framework, framework)) == state


def test_a_system_without_that_class() -> None:
    framework = Framework(3, device=None)
    assert darwin.microphone_permission((framework, framework)) is None
    assert darwin.microphone_permission((object(), object())) is None
