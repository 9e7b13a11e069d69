"""What systems say of power, heat and cores, in the forms in which their programs and files say it, and what it means.

The answers of macOS are as public reports of real machines show them, the files of Linux as its documentation does.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from documents import build, edited, good_row
from racing import plan, run
from toys import well

from speedtest_tui.core import host
from speedtest_tui.core.conditions import Conditions, during, of_linux, of_mac, read, remarks
from speedtest_tui.core.sessions.compare import compare
from speedtest_tui.core.sessions.document import Document

SETTINGS = """System-wide power settings:
Currently in use:
 standby              1
 Sleep On Power Button 1
 hibernatefile        /var/vm/sleepimage
 powernap             1
 sleep                1 (sleep prevented by caffeinate, coreaudiod)
 displaysleep         10
 tcpkeepalive         1
 {}
 womp                 1
"""
OFF, LOW = SETTINGS.format("lowpowermode         0"), SETTINGS.format("lowpowermode         1")
HIGH, NEWER_LOW = SETTINGS.format("powermode            2"), SETTINGS.format("powermode            1")
DESKTOP = "Now drawing from 'AC Power'\n"
CHARGED = DESKTOP + " -InternalBattery-0 (id=24182883)\t100%; charged; 0:00 remaining present: true\n"
UNPLUGGED = (
    "Now drawing from 'Battery Power'\n"
    " -InternalBattery-0 (id=24313955)\t27%; discharging; 3:32 remaining present: true\n"
)
CALM = "Note: No thermal warning level has been recorded\nNote: No performance warning level has been recorded\n"
INTEL = (
    "2026-11-20 10:00:00 -0700 CPU Power notify\n"
    "\tCPU_Scheduler_Limit \t= 100\n\tCPU_Available_CPUs \t= 8\n\tCPU_Speed_Limit \t= 68\n"
)
LEVEL = "com.apple.system.thermalpressurelevel {}\n"


@pytest.mark.parametrize(
    ("texts", "meaning"),
    [
        ((OFF, DESKTOP, CALM, LEVEL.format(0)), Conditions("mains", None, False, "nominal")),
        ((HIGH, CHARGED, CALM, LEVEL.format(0)), Conditions("mains", 100, False, "nominal")),
        ((LOW, UNPLUGGED, CALM, LEVEL.format(2)), Conditions("battery", 27, True, "heavy")),
        ((NEWER_LOW, "Now drawing from 'UPS Power'\n", INTEL, ""), Conditions("battery", None, True, None, 68)),
        ((SETTINGS.format("disksleep 10"), "", "", LEVEL.format(7)), Conditions()),
        (("", "", "", ""), Conditions()),
        (("\x00\n" * 99, "Now drawing from ''", "CPU_Speed_Limit = fast", "Failed with code 9\n"), Conditions()),
    ],
    ids=["desktop", "charged", "on battery", "UPS and Intel", "says little", "says nothing", "nonsense"],
)
def test_of_a_mac(texts: tuple[str, str, str, str], meaning: Conditions) -> None:
    assert of_mac(*texts) == meaning


def tree(root: Path, files: dict[str, str]) -> Path:
    """A folder with these files."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")
    return root


def supply(name: str, **facts: str) -> dict[str, str]:
    return {f"class/power_supply/{name}/{fact}": text for fact, text in facts.items()}


CPU = "devices/system/cpu"
POLICIES = {
    f"{CPU}/cpufreq/policy{number}/{name}": text
    for number, clock in ((0, "1200000"), (4, "3000000"))
    for name, text in (
        ("scaling_governor", "powersave"), ("scaling_cur_freq", clock), ("scaling_max_freq", "3000000"),
        ("cpuinfo_max_freq", "4000000"),
    )
}  # fmt: skip


@pytest.mark.parametrize(
    ("files", "meaning"),
    [
        ({}, Conditions()),
        (supply("AC", type="Mains", online="1"), Conditions("mains")),
        (supply("BAT0", type="Battery", status="Discharging", capacity="84"), Conditions("battery", 84)),
        (
            supply("AC", type="Mains", online="0") | supply("BAT0", type="Battery", status="Discharging", capacity="9"),
            Conditions("battery", 9),
        ),
        (
            # A weak charger: the battery empties all the same, but the machine is on mains.
            supply("BAT0", type="Battery", status="Discharging", capacity="50")
            | supply("ucsi0", type="USB", online="1"),
            Conditions("mains", 50),
        ),
        (
            supply("hidpp_battery_0", type="Battery", scope="Device", status="Discharging", capacity="5"),
            Conditions(),
        ),
        (supply("BAT0", type="Battery", status="Not charging", capacity="full"), Conditions("mains")),
        (POLICIES, Conditions(speed_limit=75, governor="powersave", clock_mhz=2100)),
        (
            POLICIES | {f"{CPU}/cpufreq/policy4/scaling_governor": "performance"},
            Conditions(speed_limit=75, governor="performance+powersave", clock_mhz=2100),
        ),
        (
            {
                "class/thermal/thermal_zone0/temp": "45000",
                "class/thermal/thermal_zone1/temp": "71500",
                "class/thermal/thermal_zone2/temp": "-274000",
                f"{CPU}/cpu0/thermal_throttle/package_throttle_count": "12",
                f"{CPU}/cpu1/thermal_throttle/package_throttle_count": "14",
                "firmware/acpi/platform_profile": "low-power",
            },
            Conditions(low_power=True, temperature_c=71.5, throttled=14),
        ),
        ({"firmware/acpi/platform_profile": "balanced"}, Conditions(low_power=False)),
    ],
)
def test_of_linux(tmp_path: Path, files: dict[str, str], meaning: Conditions) -> None:
    assert of_linux(tree(tmp_path, files)) == meaning


def test_this_machine_answers() -> None:
    assert isinstance(read(), Conditions)


MAINS = Conditions("mains", 100, False, "nominal", 100, throttled=3)


def test_a_calm_machine_needs_no_remark() -> None:
    assert list(remarks(MAINS)) == list(remarks(MAINS, MAINS)) == []
    assert list(remarks(Conditions())) == list(remarks(Conditions(), Conditions())) == []
    # What becomes known or unknown meanwhile is no change, and a machine that cools down no harm.
    assert list(remarks(Conditions(), MAINS)) == list(remarks(MAINS, Conditions())) == []
    assert list(remarks(replace(MAINS, pressure="heavy"), MAINS)) == []


@pytest.mark.parametrize(
    ("change", "before", "meanwhile"),
    [
        ({"power": "battery"}, "ran on battery power", "changed during the race, from mains to battery"),
        ({"low_power": True}, "saves energy was on", "went on during the race"),
        ({"pressure": "moderate"}, "was hot before the race (thermal pressure moderate)", "grew hot during the race"),
        ({"speed_limit": 68}, "limited to 68 % of its highest clock", "68 % of its highest clock during the race"),
        ({"throttled": 4}, "", "slowed down during the race"),
    ],
)
def test_each_is_said(change: dict[str, object], before: str, meanwhile: str) -> None:
    other = replace(MAINS, **change)  # type: ignore[arg-type]
    assert [before in remark for remark in remarks(other)] == [True] * bool(before)
    (remark,) = remarks(MAINS, other)
    assert meanwhile in remark
    assert list(remarks(other, other)) == []


@pytest.mark.usefixtures("toys")
def test_a_race_looks_before_and_after() -> None:
    seen = iter([replace(MAINS, power="battery"), replace(MAINS, power="battery", pressure="heavy")])
    snapshot = run(plan(well.Well, runs=1), look=lambda: next(seen))
    assert [one.pressure for one in snapshot.conditions] == ["nominal", "heavy"]
    assert [note.partition(":")[0] for note in snapshot.notes] == [
        "ran on battery power",
        "the machine grew hot during the race (thermal pressure heavy)",
    ]


def ran(*seen: Conditions) -> Document:
    return replace(build(good_row("a", (0.2, 0.21))), conditions=seen)


def topics(before: Document, after: Document) -> dict[str, tuple[str, str]]:
    return {one.topic: (one.before, one.after) for one in compare(before, after).differences}


def test_sessions_name_them_as_reasons() -> None:
    hot = replace(MAINS, power="battery", low_power=True, governor="powersave", speed_limit=68)
    found = topics(ran(replace(MAINS, governor="performance"), MAINS), ran(hot, replace(hot, pressure="heavy")))
    assert found == {
        "power source": ("mains", "battery"),
        "thermal pressure": ("nominal", "heavy"),
        "clock limit in percent": ("100", "68"),
        "clock governor": ("performance", "powersave"),
        "energy saving": ("off", "on"),
    }
    assert topics(ran(), ran(MAINS)) == topics(ran(MAINS, MAINS), ran(MAINS)) == topics(ran(), ran()) == {}


def test_sessions_of_older_versions_are_read_and_know_nothing() -> None:
    old = edited(
        ran(MAINS),
        lambda facts: (facts.pop("conditions"), facts["host"].pop("core_kinds"), facts["plan"].pop("pulse")),
    )
    assert (old.conditions, old.host.core_kinds, old.plan.pulse) == ((), (), False)
    assert during(old.conditions) == Conditions()
    kept = edited(ran(MAINS, MAINS), lambda facts: None)
    assert kept.conditions == (MAINS, MAINS)


def test_a_pulse_is_a_reason() -> None:
    with_pulse = replace(ran(), plan=replace(ran().plan, pulse=True))
    assert topics(ran(), with_pulse) == {"order": ("interleaved", "interleaved, each run after a pulse")}


@pytest.mark.parametrize(
    ("text", "chip", "kinds"),
    [
        (
            "hw.ncpu: 14\nhw.perflevel0.physicalcpu: 10\nhw.perflevel0.name: Performance\n"
            "hw.perflevel1.physicalcpu: 4\nhw.perflevel1.name: Efficiency\nmachdep.cpu.brand_string: Apple M4 Pro\n",
            "Apple M4 Pro",
            (("Performance", 10), ("Efficiency", 4)),
        ),
        (
            "hw.perflevel1.name: Performance\nhw.perflevel1.physicalcpu: 12\nhw.perflevel0.name: Super\n"
            "hw.perflevel0.physicalcpu: 6\nmachdep.cpu.brand_string: Apple M5 Max",
            "Apple M5 Max",
            (("Super", 6), ("Performance", 12)),
        ),
        ("hw.ncpu: 8\nmachdep.cpu.brand_string: Intel(R) Core(TM) i9: x", "Intel(R) Core(TM) i9: x", ()),
        ("hw.perflevel0.physicalcpu: 4\nhw.perflevel1.physicalcpu: 4\n", "", (("level 0", 4), ("level 1", 4))),
        ("", "", ()),
    ],
)
def test_kinds_of_cores_of_a_mac(text: str, chip: str, kinds: tuple[tuple[str, int], ...]) -> None:
    assert host.of_sysctl(text) == (chip, kinds)


@pytest.mark.parametrize(
    ("files", "kinds"),
    [
        ({}, ()),
        (
            {"cpu_core/cpus": "0-11", "cpu_atom/cpus": "12-15,18"},
            (("Performance", 12), ("Efficiency", 5)),
        ),
        ({f"system/cpu/cpu{n}/cpu_capacity": "1024" for n in range(4)}, ()),
        (
            {f"system/cpu/cpu{n}/cpu_capacity": "1024" if n > 3 else "446" for n in range(6)},
            (("capacity 1024", 2), ("capacity 446", 4)),
        ),
    ],
)
def test_kinds_of_cores_of_linux(tmp_path: Path, files: dict[str, str], kinds: tuple[tuple[str, int], ...]) -> None:
    assert host.core_kinds_of(tree(tmp_path, files)) == kinds


def test_cores_in_words() -> None:
    one = host.Host("Apple M4 Pro", 14, 24 << 30, "macOS 26.1", "3.11", 0.5, (("Performance", 10), ("Efficiency", 4)))
    assert one.sentence() == "Apple M4 Pro · 14 cores (10+4) · 24 GB · macOS 26.1"
    assert one.cores_words == "14 cores (10 Performance + 4 Efficiency)"
    assert replace(one, core_kinds=()).sentence() == "Apple M4 Pro · 14 cores · 24 GB · macOS 26.1"


def test_programs_are_asked_at_once_and_none_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def say(code: str) -> tuple[str, ...]:
        return (sys.executable, "-c", code)

    monkeypatch.setattr(host, "LIMIT_S", 20.0)
    assert host.answers(say("print(1)"), ("/nowhere/pmset",), say("import sys; sys.exit('no')"), say("print(2)")) == [
        "1\n",
        "",
        "",
        "2\n",
    ]
    monkeypatch.setattr(host, "LIMIT_S", 0.0)
    assert host.answers(("sleep", "600"), ("sleep", "600")) == ["", ""]
