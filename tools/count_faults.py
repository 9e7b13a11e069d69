"""How many distinct faults tests and fuzzers hold, by kind: `python tools/count_faults.py [--write | --check]`.

A fault is one collected case of a test below: one damage, one wrong argument, one hostile answer. What a fuzzer tries
counts as one. --write puts the table into README.md; --check fails where its sum is too large, or a tenth too small.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
BEGIN, END = "<!-- faults -->\n", "<!-- /faults -->"

PLACE = r"^\[.*-(?:True|False)-"

KINDS = {
    "damaged models and caches": """
        unit/test_damaged_caches.py::test_one_reading unit/test_structure.py::test_what_is_not
        unit/test_materialise.py::test_damage_is_found_and_mended
        unit/test_manifest.py::test_a_list_that_is_no_json_is_none
        unit/test_manifest.py::test_a_list_that_makes_no_sense_is_none unit/test_layout.py::test_unsafe_names
        unit/test_manifest.py::test_unsafe_names_are_left_out_and_reported
        unit/test_canary_load.py::test_damaged_files_are_named
        unit/test_canary_text.py::test_damaged_tokenizers_are_refused
        unit/test_nano_models.py::test_a_damaged_archive_is_an_error_of_one_line
        unit/test_locate.py::test_a_ref_cannot_lead_elsewhere
        unit/test_checksum.py::test_wrong_bytes_of_the_right_size
    """,
    "files of our own that are damaged": """
        unit/test_sessions.py::test_damaged_ones_are_named unit/test_index.py::test_a_damaged_index_is_as_none
        unit/test_index.py::test_something_else_in_its_place
        unit/test_index.py::test_what_cannot_be_kept_is_read_each_time
        unit/test_index.py::test_what_people_do_to_sessions_is_seen
        unit/test_remembered.py::test_a_damaged_file_is_kept_aside
        unit/test_recorder_files.py::test_sidecars_that_are_none
        unit/test_settings.py::test_a_file_that_no_person_wrote_is_named_and_left_alone
        unit/test_settings.py::test_a_wrong_value_is_named_and_the_others_count
        unit/test_codec.py::test_what_is_of_another_type_is_refused_in_one_line
        unit/test_trash.py::test_a_damaged_journal_hides_its_entry_and_deletes_nothing
        unit/test_trash.py::test_no_link_in_a_trash_is_followed
        unit/test_trash.py::test_nothing_outside_the_cache_is_changed
        unit/test_disk_writers.py::test_what_a_killed_writer_left_is_swept_by_the_next
    """,
    "sound that is damaged, protected or none": """
        unit/test_decode_refusals.py::test_refused_content unit/test_decode_damage.py unit/test_decode_faults.py
        unit/test_decode_refusals.py::test_refuses_samples_that_are_no_numbers
    """,
    "checkpoints that must not be converted": """
        nemo/test_refusals.py nemo/test_numbers.py::test_pickles_that_hold_no_tensors
    """,
    "networks and hubs": """
        hub/test_download_faults.py::test_a_lasting_trouble_gets_its_own_sentence
        hub/test_download_faults.py::test_a_passing_trouble_ends_in_a_verified_model hub/test_download_hostile.py
        hub/test_download_settings.py::test_what_is_set_wrongly_is_named hub/test_hub_misbehaviour.py::test_transfers
        hub/test_hub_protocol.py::test_refusals
    """,
    "backends that fail": """
        unit/test_race_faults.py unit/test_events.py::test_run_finished_of_the_wrong_form
        unit/test_events.py::test_loaded_of_the_wrong_form unit/test_events.py::test_times_that_are_none
        unit/test_process_lines.py::test_everything_else_is_refused unit/test_verify.py::test_what_goes_wrong_is_said
        unit/test_registry.py::test_what_cannot_be_made_is_said
    """,
    "raw characters, formulas and markup": """
        e2e/test_raw_characters.py ui/test_raw_text.py::test_unsafe_characters_take_no_part
        unit/test_neutral.py::test_joiners_where_nothing_is_to_be_joined
    """,
    "wrong arguments and surroundings": """
        unit/test_sentences.py::test_wrong_usage e2e/test_folder_as_size.py::test_every_command_refuses_what_is_none
        unit/test_backend_options.py::test_what_is_no_option unit/test_parakeet_options.py::test_what_cannot_be_set
        unit/test_reference_text.py::test_what_is_no_reference_is_one_line unit/test_plan.py::test_refused
        unit/test_barred.py::test_what_bars_the_way_is_said_in_one_line
        unit/test_recorder_command.py::test_refusals unit/test_obstacles.py::test_a_disk_that_is_not_there
    """,
    "signals and ends in the middle of work": """
        unit/test_keeper.py::test_signals_behind_the_first_do_not_end_the_keeping
        unit/test_orphans.py::test_parent_killed
        unit/test_keeper.py::test_a_session_that_cannot_be_saved_leaves_its_result
    """,
}  # fmt: skip
"""Test files, or single tests of them, by what they hold."""


def counted() -> Counter[str]:
    """Cases by kind, as pytest collects them. Raises CalledProcessError where one of the tests is gone."""
    kind_of = {f"tests/{test}": kind for kind, tests in KINDS.items() for test in tests.split()}
    command = [sys.executable, "-m", "pytest", "-o", "addopts=-p no:cacheprovider", "--collect-only", "-q", *kind_of]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, errors="replace", check=True)
    counts: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
    cases = re.findall(r"^(tests/[\w/]+\.py::\w+)(.*)", done.stdout, re.MULTILINE)
    # Each damage of a cache is tried in several places: it counts once.
    for name, _ in {(name, re.sub(PLACE, "", case)) for name, case in cases}:
        counts[kind_of.get(name) or kind_of[name.partition("::")[0]]] += 1
    counts["classes that a fuzzer makes"] = len(list((CHECKOUT / "tools" / "fuzz").glob("fuzz_*.py")))
    return counts


def table(counts: Counter[str]) -> str:
    lines = [f"| {kind} | {count} |" for kind, count in counts.items()]
    return "\n".join([f"{counts.total()} distinct faults:", "", "| kind | faults |", "|:--|--:|", *lines, ""])


def main() -> int:
    parser = argparse.ArgumentParser(description="Count the faults that tests and fuzzers hold.")
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    parser.add_argument("--check", action="store_true", help="fail where README.md says something else")
    options = parser.parse_args()
    counts = counted()
    text, readme = table(counts), CHECKOUT / "README.md"
    before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    now, _, after = rest.partition(END)
    print(text, end="")
    if options.write:
        readme.write_text(f"{before}{BEGIN}{text}{END}{after}", encoding="utf-8")
    said = int(now.partition(" ")[0] or 0)
    if options.check and not 0.9 * counts.total() <= said <= counts.total():
        print("README.md says something else: python tools/count_faults.py --write", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
