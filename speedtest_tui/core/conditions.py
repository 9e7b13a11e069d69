"""What makes the same machine faster or slower from one hour to the next: power source, energy saving, clock and heat.

    before = read()        # asks the system's own programs or files; a second at most, so never on the way to a frame
    ...
    after = read()
    remarks(before), remarks(before, after)

What each program and file says is taken apart by functions of texts and folders; on a Mac nothing of it has been run.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from speedtest_tui.core.host import LIMIT_S, answers, content

Pressure = Literal["nominal", "moderate", "heavy", "trapping", "sleeping"]
PRESSURES: tuple[Pressure, ...] = ("nominal", "moderate", "heavy", "trapping", "sleeping")
"""OSThermalPressureLevel of macOS, in libkern/OSThermalNotification.h: 0 to 4."""

COMMANDS = (
    ("/usr/bin/pmset", "-g"),
    ("/usr/bin/pmset", "-g", "batt"),
    ("/usr/bin/pmset", "-g", "therm"),
    ("/usr/bin/notifyutil", "-g", "com.apple.system.thermalpressurelevel"),
)
"""Answered without root."""


@dataclass(frozen=True)
class Conditions:
    """A moment; None for whatever the system does not say.

    battery: percent left; low_power: whether a mode that saves energy is on
    pressure: how much macOS holds the machine back because of heat
    speed_limit: percent of its highest clock that the processor may use
    governor: what chooses the clock on Linux; clock_mhz: the mean over all cores
    temperature_c: the hottest zone; throttled: how often the processor has been too hot since the system started
    """

    power: Literal["mains", "battery"] | None = None
    battery: int | None = None
    low_power: bool | None = None
    pressure: Pressure | None = None
    speed_limit: int | None = None
    governor: str | None = None
    clock_mhz: int | None = None
    temperature_c: float | None = None
    throttled: int | None = None

    @property
    def sentence(self) -> str:
        """ "battery 84 %, low-power mode, thermal pressure heavy, 71 °C"; empty where nothing is known."""
        battery = "" if self.battery is None else f" {self.battery} %"
        parts = (
            self.power and f"{self.power}{battery if self.power == 'battery' else ''}",
            self.low_power and "low-power mode",
            self.pressure and f"thermal pressure {self.pressure}",
            self.speed_limit is not None and self.speed_limit < 100 and f"clock limited to {self.speed_limit} %",
            self.governor and f"governor {self.governor}",
            self.clock_mhz and f"{self.clock_mhz} MHz",
            self.temperature_c is not None and f"{self.temperature_c:.0f} °C",
        )
        return ", ".join(part for part in parts if part)


def read() -> Conditions:
    """How the machine stands now; nothing is known of a system that does not answer within LIMIT_S."""
    if sys.platform == "darwin":
        return of_mac(*answers(*COMMANDS))
    found: list[Conditions] = []
    # A file of a driver may take its time, and no reading can be broken off.
    reader = threading.Thread(target=lambda: found.append(of_linux(Path("/sys"))), name="conditions", daemon=True)
    reader.start()
    reader.join(LIMIT_S)
    return found[0] if found else Conditions()


def of_mac(settings: str, battery: str, thermal: str, pressure: str) -> Conditions:
    """What the answers to COMMANDS mean.

    `pmset -g` has lowpowermode 0 or 1, or on newer systems powermode 0, 1 (low) or 2 (high); desktops may have neither.
    `pmset -g batt` begins with "Now drawing from 'AC Power'"; `pmset -g therm` has CPU_Speed_Limit on Intel only.
    """
    source = re.search(r"Now drawing from '(\w+)", battery)
    percent = re.search(r"InternalBattery.*?(\d+)%", battery)
    saving = re.search(r"^\s*(?:low)?powermode\s+(\d)", settings, re.MULTILINE)
    limit = re.search(r"CPU_Speed_Limit\s*=\s*(\d+)", thermal)
    level = re.search(r"thermalpressurelevel\s+([0-4])\s*$", pressure)
    return Conditions(
        power=None if source is None else "mains" if source[1] == "AC" else "battery",
        battery=int(percent[1]) if percent else None,
        low_power=saving[1] == "1" if saving else None,
        pressure=PRESSURES[int(level[1])] if level else None,
        speed_limit=int(limit[1]) if limit else None,
    )


def of_linux(root: Path) -> Conditions:
    """What /sys says: Documentation/ABI/testing/sysfs-class-power, -platform-profile, -class-thermal, and cpufreq's.

    root: takes the place of /sys
    """
    policies = sorted((root / "devices/system/cpu/cpufreq").glob("policy*"))
    clocks = [value for policy in policies if (value := _number(policy / "scaling_cur_freq")) is not None]
    limits = [
        100 * now // most
        for policy in policies
        if (now := _number(policy / "scaling_max_freq")) and (most := _number(policy / "cpuinfo_max_freq"))
    ]
    governors = sorted({word for policy in policies if (word := content(policy / "scaling_governor"))})
    heat = [
        value / 1000
        for zone in (root / "class/thermal").glob("thermal_zone*")
        # A sensor that is broken or off says absolute zero, or a thousand degrees.
        if (value := _number(zone / "temp")) is not None and 0 < value < 200_000
    ]
    counts = [
        _number(one) for one in (root / "devices/system/cpu").glob("cpu*/thermal_throttle/package_throttle_count")
    ]
    profile = content(root / "firmware/acpi/platform_profile")
    power, battery = _supplies(root / "class/power_supply")
    return Conditions(
        power=power,
        battery=battery,
        low_power=profile in ("low-power", "quiet") if profile else None,
        speed_limit=min(limits, default=None),
        governor="+".join(governors) or None,
        clock_mhz=round(sum(clocks) / len(clocks) / 1000) if clocks else None,
        temperature_c=max(heat, default=None),
        throttled=max((count for count in counts if count is not None), default=None),
    )


def _supplies(folder: Path) -> tuple[Literal["mains", "battery"] | None, int | None]:
    """Power source and percent of the first battery that feeds the machine, not a mouse or a headset."""
    online = discharging = False
    known, percent = False, None
    for supply in sorted(folder.glob("*")):
        if content(supply / "scope") == "Device":
            continue
        kind = content(supply / "type")
        if kind == "Battery":
            known = True
            discharging = discharging or content(supply / "status") == "Discharging"
            percent = _number(supply / "capacity") if percent is None else percent
        elif kind in ("Mains", "USB", "Wireless"):
            # Sockets in which nothing is plugged are listed as well.
            online = online or content(supply / "online") not in ("", "0")
    if discharging and not online:
        return "battery", percent
    return ("mains" if known or online else None), percent


def _number(path: Path) -> int | None:
    text = content(path)
    return int(text) if re.fullmatch(r"-?\d{1,15}", text) else None


def remarks(before: Conditions, after: Conditions | None = None) -> Iterator[str]:
    """What to know of a race's times: before it, or, where `after` is given, what has changed meanwhile."""
    if after is None:
        if before.power == "battery":
            yield "ran on battery power: on mains it may be faster"
        if before.low_power:
            yield "a mode that saves energy was on: without it times are shorter"
        if before.pressure not in (None, "nominal"):
            yield f"the machine was hot before the race (thermal pressure {before.pressure}): let it cool down"
        if before.speed_limit is not None and before.speed_limit < 100:
            yield f"the processor was limited to {before.speed_limit} % of its highest clock"
        return
    if before.power and after.power and before.power != after.power:
        yield f"the power source changed during the race, from {before.power} to {after.power}"
    if None not in (before.low_power, after.low_power) and before.low_power != after.low_power:
        yield f"the mode that saves energy went {'on' if after.low_power else 'off'} during the race"
    if after.pressure and before.pressure and PRESSURES.index(after.pressure) > PRESSURES.index(before.pressure):
        yield f"the machine grew hot during the race (thermal pressure {after.pressure}): later runs may be slower"
    if after.speed_limit is not None and after.speed_limit < (before.speed_limit or 0):
        yield f"the processor was limited to {after.speed_limit} % of its highest clock during the race"
    if after.throttled is not None and after.throttled > (before.throttled or 0) and before.throttled is not None:
        yield "the processor grew too hot and slowed down during the race: later runs may be slower"


def held_back(seen: tuple[Conditions, ...]) -> bool | None:
    """Whether heat or a limit slowed the machine down while a race ran; None where the system says nothing of it."""
    limits = [one.speed_limit < 100 for one in seen if one.speed_limit is not None]
    heat = [one.pressure != "nominal" for one in seen if one.pressure]
    counts = [one.throttled for one in seen if one.throttled is not None]
    found = [*limits, *heat, *([counts[-1] > counts[0]] if counts else [])]
    return any(found) if found else None


def during(seen: tuple[Conditions, ...]) -> Conditions:
    """One word for a whole race: as it began, but with the worst of its heat. Of no look at all, nothing."""
    pressures = [one.pressure for one in seen if one.pressure]
    return replace(seen[0], pressure=max(pressures, key=PRESSURES.index, default=None)) if seen else Conditions()
