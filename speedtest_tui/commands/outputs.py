"""Results in the forms that were asked for, to files or to standard output."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from speedtest_tui.cli import complain
from speedtest_tui.core import atomic
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.sessions import export

FORMS = {"json": export.to_json, "csv": export.to_csv, "markdown": export.to_markdown}


def requested(options: argparse.Namespace) -> dict[str, str]:
    """Form -> file, or "-" for standard output.

    Raises UserError for what cannot work, before anything is measured for it.
    """
    outputs = {form: target for form in FORMS if (target := getattr(options, form))}
    if list(outputs.values()).count("-") > 1:
        raise UserError("two results for standard output", "give files to all forms but one")
    for target in outputs.values():
        if target != "-" and not Path(target).absolute().parent.is_dir():
            raise UserError(f"cannot write {target}", "its folder does not exist")
    return outputs


def write(outputs: dict[str, str], documents: Sequence[dict[str, Any]]) -> bool:
    """Write the asked-for forms; with several documents JSON becomes a list and the others follow one another.

    Returns whether all could be written; what could not is named on stderr.
    """
    whole = True
    for form, target in outputs.items():
        render: Any = FORMS[form]
        if form == "json" and len(documents) > 1:
            text = render(documents)
        else:
            text = "\n".join(render(document) for document in documents)
        if target == "-":
            sys.stdout.write(text)
            continue
        try:
            atomic.write_text(Path(target).absolute(), text)
        except OSError as error:
            complain(f"{target} could not be written ({error.strerror or error}): choose another file")
            whole = False
    return whole
