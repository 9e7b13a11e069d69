"""What only macOS has, asked of its own library: a process's physical footprint, and a thread's quality of service.

Written from Apple's headers and never run on a Mac. Elsewhere, and wherever the library lacks something, every function
says so by its answer; nothing is raised. `library` is for tests: what `ctypes.CDLL` returns for libSystem.
"""

from __future__ import annotations

import errno
import os
import struct
import sys
from functools import cache
from io import BufferedReader
from pathlib import Path
from typing import Any, Literal, NamedTuple

from speedtest_tui.core import disk
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.format import one_line

RUSAGE_INFO_V4 = 4

FIELDS = (
    "user_time", "system_time", "pkg_idle_wkups", "interrupt_wkups", "pageins", "wired_size", "resident_size",
    "phys_footprint", "proc_start_abstime", "proc_exit_abstime", "child_user_time", "child_system_time",
    "child_pkg_idle_wkups", "child_interrupt_wkups", "child_pageins", "child_elapsed_abstime", "diskio_bytesread",
    "diskio_byteswritten", "cpu_time_qos_default", "cpu_time_qos_maintenance", "cpu_time_qos_background",
    "cpu_time_qos_utility", "cpu_time_qos_legacy", "cpu_time_qos_user_initiated", "cpu_time_qos_user_interactive",
    "billed_system_time", "serviced_system_time", "logical_writes", "lifetime_max_phys_footprint", "instructions",
    "cycles", "billed_energy", "serviced_energy", "interval_max_phys_footprint", "runnable_time",
)  # fmt: skip
"""Of `struct rusage_info_v4` in xnu's bsd/sys/resource.h, behind `uint8_t ri_uuid[16]` and without their prefix `ri_`;
each a uint64_t."""

LAYOUT = struct.Struct(f"=16x{len(FIELDS)}Q")

SF_DATALESS = 0x4000_0000
"""Of `st_flags` in xnu's bsd/sys/stat.h: the file's content is elsewhere, and whoever reads it waits for a download."""

AWAY = "in iCloud, not here"
IN_ICLOUD = f"is {AWAY}"
"""The rest of a sentence that begins with a file's name."""

LARGEST = 64 << 20
"""Bytes of what is read whole: accounts of models, and files of built-in ones, which have a few MB."""

QOS_CLASS_USER_INITIATED = 0x19
"""xnu's libkern sys/qos.h: work that somebody waits for, which the scheduler keeps on performance cores."""


class Usage(NamedTuple):
    """Bytes: the physical footprint now and at its largest, as Activity Monitor counts it, and read from disk so far.

    The footprint holds what the kernel has compressed and what the process has on the GPU, as a resident size does not.
    """

    footprint: int
    peak_footprint: int
    read_bytes: int


@cache
def system_library() -> Any:
    """libSystem, which holds libproc and pthread; None where this is no Mac."""
    if sys.platform != "darwin":
        return None
    import ctypes

    return ctypes.CDLL(None)


def usage(pid: int, library: Any = None) -> Usage | None:
    """What a process of the same user has taken; None where nobody says.

    `int proc_pid_rusage(int pid, int flavor, rusage_info_t *buffer)` of libproc.h: 0 is success.
    """
    if (library := library or system_library()) is None:
        return None
    from ctypes import create_string_buffer

    buffer = create_string_buffer(LAYOUT.size)
    try:
        if library.proc_pid_rusage(pid, RUSAGE_INFO_V4, buffer) != 0:
            return None
    except AttributeError:
        return None
    found = dict(zip(FIELDS, LAYOUT.unpack(buffer.raw), strict=True))
    return Usage(found["phys_footprint"], found["lifetime_max_phys_footprint"], found["diskio_bytesread"])


def ask_for_fast_cores(library: Any = None) -> bool:
    """Have this thread treated as one whose end somebody waits for; whether the system took it.

    `int pthread_set_qos_class_self_np(qos_class_t, int relative_priority)` of pthread/qos.h: 0 is success. Without a
    class a long computation may drift to the efficiency cores.
    """
    library = library or system_library()
    try:
        return library is not None and library.pthread_set_qos_class_self_np(QOS_CLASS_USER_INITIATED, 0) == 0
    except AttributeError:
        return False


Permission = Literal["not-asked", "restricted", "denied", "allowed"]
PERMISSIONS: tuple[Permission, ...] = ("not-asked", "restricted", "denied", "allowed")
"""AVAuthorizationStatus of AVFoundation's AVCaptureDevice.h: 0 to 3."""

AV_FOUNDATION = "/System/Library/Frameworks/AVFoundation.framework/AVFoundation"


def microphone_permission(frameworks: tuple[Any, Any] | None = None) -> Permission | None:
    """Whether the application that this process belongs to may record; None where nobody says. Asks for nothing.

    `[AVCaptureDevice authorizationStatusForMediaType:AVMediaTypeAudio]` by libobjc's own calls (objc/runtime.h,
    objc/message.h): a class, a selector, and objc_msgSend with their C types, as core of every binding.
    frameworks: take the place of libobjc and AVFoundation
    """
    if frameworks is None and sys.platform != "darwin":
        return None
    import ctypes

    try:
        objc, media = frameworks or (ctypes.CDLL("/usr/lib/libobjc.A.dylib"), ctypes.CDLL(AV_FOUNDATION))
        objc.objc_getClass.restype = objc.sel_registerName.restype = ctypes.c_void_p
        objc.objc_getClass.argtypes = objc.sel_registerName.argtypes = [ctypes.c_char_p]
        # On arm64 a variadic call would pass arguments elsewhere: the message needs its exact types.
        objc.objc_msgSend.restype = ctypes.c_long
        objc.objc_msgSend.argtypes = [ctypes.c_void_p] * 3
        device = objc.objc_getClass(b"AVCaptureDevice")
        audio = ctypes.c_void_p.in_dll(media, "AVMediaTypeAudio") if frameworks is None else media.AVMediaTypeAudio
        if not device:
            return None
        answer = objc.objc_msgSend(device, objc.sel_registerName(b"authorizationStatusForMediaType:"), audio)
        return PERMISSIONS[answer] if 0 <= answer < len(PERMISSIONS) else None
    except (OSError, AttributeError, ValueError):
        return None


# What macOS has moved to iCloud.


def flags(status: os.stat_result) -> int:
    """The flags of BSD's file systems; none elsewhere."""
    return getattr(status, "st_flags", 0)


def is_evicted(status: os.stat_result) -> bool:
    """Whether macOS has moved the content of a file, or a folder's list, to iCloud. Such a one is never read."""
    return bool(flags(status) & SF_DATALESS)


def stands_for(name: str) -> str:
    """The file of whose place ".<name>.icloud" tells, as systems before macOS 14 evict; empty for any other name."""
    return name[1:-7] if name.startswith(".") and name.endswith(".icloud") and len(name) > 8 else ""


def has_placeholder(path: str | Path) -> bool:
    """Whether nothing but a note is left of a file, beside its place."""
    folder, name = os.path.split(path)
    return os.path.isfile(os.path.join(folder, f".{name}.icloud"))  # noqa: PTH113, PTH118


def from_icloud(path: object) -> str:
    """What to do about a file that is evicted."""
    from shlex import quote

    return f"download it in Finder, or run `brctl download {quote(one_line(str(path)))}`"


def check_here(path: Path, shown: str = "") -> None:
    """Raises UserError for a file that a person named and that is in iCloud: opening it would wait for a download."""
    try:
        away = is_evicted(path.stat())
    except (OSError, ValueError):
        away = has_placeholder(path)
    if away:
        raise UserError(f"{shown or one_line(str(path))} {IN_ICLOUD}", from_icloud(path))


def opened(path: Path) -> BufferedReader:
    """A file of a cache to read from. Raises OSError, and for what is in iCloud without asking for it."""
    if is_evicted(path.stat()):
        raise OSError(errno.EDEADLK, IN_ICLOUD, str(path))
    return disk.opened_plain(path)


def content(path: Path) -> bytes:
    """All of a file of some megabytes. Raises OSError as `opened`, and for a larger one."""
    with opened(path) as file:
        if os.fstat(file.fileno()).st_size > LARGEST:
            raise OSError(errno.EFBIG, "it is too large", str(path))
        return file.read(LARGEST)
