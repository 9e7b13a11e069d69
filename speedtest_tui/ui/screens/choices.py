"""What the lists of the dashboard offer.

The languages that multilingual Whisper models know, as openai/whisper `tokenizer.py` lists them, most spoken first
in its training data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from backends.catalogue import ABOUT_SIZES, SIZES
from speedtest_tui.core.format import parameters
from speedtest_tui.core.models import wording
from speedtest_tui.core.models.status import ModelReport
from speedtest_tui.ui.screens.choice import Choice

if TYPE_CHECKING:
    from speedtest_tui.core.models.own import ConvertedModel


AUTO = "auto"


def sizes(converted: Sequence[ConvertedModel] = (), present: str = SIZES[0]) -> tuple[Choice, ...]:
    """The sizes of the catalogue, models that were converted here, and a folder that is the present choice."""
    offered = [Choice(size, size, about) for size, about in ABOUT_SIZES.items()]
    for model in converted:
        detail = f"{model.family}, {parameters(model.parameters)} parameters as {model.form}"
        offered.append(Choice(model.size, model.size, detail))
    if present not in {choice.key for choice in offered}:
        offered.append(Choice(present, present))
    return tuple(offered)


def languages() -> tuple[Choice, ...]:
    return (
        Choice(AUTO, AUTO, "each backend detects it"),
        *(Choice(code, code, name) for code, name in LANGUAGES.items()),
    )


def to_verify(reports: Sequence[ModelReport]) -> tuple[Choice, ...]:
    """Models that can be loaded."""
    choices = []
    for report in reports:
        if report.spec is None or report.unavailable or not report.usable:
            continue
        state, _ = wording.long(wording.nearest(report))
        loads, _ = wording.loads(report)
        note = f"{report.verified.message}" if report.verified and not report.verified.stale else ""
        detail = " · ".join(filter(None, (wording.model_name(report), note or (loads if report.verified else state))))
        choices.append(Choice(key_of(report), report.backend, detail))
    return tuple(choices)


def to_download(reports: Sequence[ModelReport]) -> tuple[Choice, ...]:
    """Models that are not whole anywhere; those that are need no download, and one that cannot have any says why."""
    from speedtest_tui.core.jobs.download import wanted

    choices = []
    for report in reports:
        if report.spec is None or report.unavailable or report.spec.kind not in ("hub", "openai"):
            continue
        state = wording.nearest(report)
        if state.state == "complete":
            continue
        detail = f"{wording.model_name(report)} · {wording.long(state)[0]}"
        if state.state == "partial" and state.detail:
            detail = f"{wording.model_name(report)} · {state.detail}"
        refused = next((one.reason for one in wanted([report]) if one.request is None), "")
        choices.append(Choice(key_of(report), report.backend, refused or detail, disabled=bool(refused)))
    return tuple(choices)


def not_here(missing: Sequence[ModelReport], total: int, *, waited: bool) -> str:
    """What is not on this machine, as the beginning of a question."""
    from speedtest_tui.core.jobs import offers

    found = offers.to_download(missing)
    size = f" ({found.words})" if found.words else ""
    many = f"{len(missing)} of {total} models are" if len(missing) > 1 else f"1 of {total} models is"
    many = many if total > 1 else "The model is"
    before = "A download was not finished: " if waited else ""
    return f"{before}{many} not on this machine yet{size}."


def key_of(report: ModelReport) -> str:
    """What a choice of this model is called."""
    return f"{report.backend} {report.size}"


_NAMES = """
en english;zh chinese;de german;es spanish;ru russian;ko korean;fr french;ja japanese;pt portuguese;tr turkish;pl polish
ca catalan;nl dutch;ar arabic;sv swedish;it italian;id indonesian;hi hindi;fi finnish;vi vietnamese;he hebrew
uk ukrainian;el greek;ms malay;cs czech;ro romanian;da danish;hu hungarian;ta tamil;no norwegian;th thai;ur urdu
hr croatian;bg bulgarian;lt lithuanian;la latin;mi maori;ml malayalam;cy welsh;sk slovak;te telugu;fa persian;lv latvian
bn bengali;sr serbian;az azerbaijani;sl slovenian;kn kannada;et estonian;mk macedonian;br breton;eu basque;is icelandic
hy armenian;ne nepali;mn mongolian;bs bosnian;kk kazakh;sq albanian;sw swahili;gl galician;mr marathi;pa punjabi
si sinhala;km khmer;sn shona;yo yoruba;so somali;af afrikaans;oc occitan;ka georgian;be belarusian;tg tajik;sd sindhi
gu gujarati;am amharic;yi yiddish;lo lao;uz uzbek;fo faroese;ht haitian creole;ps pashto;tk turkmen;nn nynorsk
mt maltese
sa sanskrit;lb luxembourgish;my myanmar;bo tibetan;tl tagalog;mg malagasy;as assamese;tt tatar;haw hawaiian;ln lingala
ha hausa;ba bashkir;jw javanese;su sundanese;yue cantonese
"""

LANGUAGES: dict[str, str] = {
    code: name
    for code, _, name in (entry.partition(" ") for line in _NAMES.split("\n") for entry in line.split(";") if entry)
}
"""Code to English name, lower case; codes are ISO 639-1 or, where that has none, 639-3 (jw is Whisper's own)."""
