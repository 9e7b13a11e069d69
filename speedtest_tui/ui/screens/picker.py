"""What races: every model that is known or found for every backend, a line each, with what the choice would take.

A list and no grid: eleven backends across do not fit on 120 columns, and most cells of such a grid would be empty. `/`
filters, because letters are commands here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from speedtest_tui.core.format import one_line
from speedtest_tui.core.jobs.offers import Offer, Offers, standing
from speedtest_tui.core.models.sizes import Candidate
from speedtest_tui.core.settings import shortlist_name
from speedtest_tui.ui.screens.choice import Choice, ChoiceScreen
from speedtest_tui.ui.screens.confirm import Once
from speedtest_tui.ui.widgets.key_line import KeyLine
from speedtest_tui.ui.widgets.line_text import wrap
from speedtest_tui.ui.widgets.offer_lines import Layout, details, total
from speedtest_tui.ui.widgets.pick_list import MOVES, PickList
from speedtest_tui.ui.workers.messages import CandidatesRead, OffersKnown

if TYPE_CHECKING:
    from backends.base import BackendEntry
    from speedtest_tui.core.race.plan import Plan
    from speedtest_tui.ui.workers.settings import SettingsStore
    from speedtest_tui.ui.workers.worker import Worker

Asking = Literal["filter", "model", "shortlist"]

ASKS: dict[Asking, str] = {
    "filter": "type to filter",
    "model": "backend:model, org/name of a repository, or a model's folder",
    "shortlist": "name of this choice",
}


def _key(key: str, action: str, word: str, name: str, tooltip: str, *, show: bool = True) -> Binding:
    return Binding(key, action, word, show, priority=key == "enter", id=f"pick-{name}", tooltip=tooltip)


class PickerScreen(Once, Screen[tuple[Candidate, ...] | None]):
    """Returns the chosen candidates, in the order of their backends, or None.

    entries: all backends; plan: what is chosen now; clip_s: length of the clip, None without one
    """

    CSS_PATH = "picker.tcss"
    AUTO_FOCUS = ""
    VERTICAL_BREAKPOINTS = [(0, "-short"), (20, "-medium")]
    BINDINGS: ClassVar[list[BindingType]] = [
        _key("space", "toggle_here", "on/off", "toggle", "Choose the candidate (again to leave it out)"),
        _key("enter", "confirm", "use", "confirm", "Race these"),
        _key("a", "all", "all backends", "all", "This size with all backends that have it (again to leave them out)"),
        _key("c", "clear", "clear", "clear", "Leave everything out"),
        _key("slash", "ask('filter')", "filter", "filter", "Show only what holds the words that you type"),
        _key("t", "ask('model')", "type one", "type", "Add a model by its repository, folder or name"),
        _key("l", "shortlists", "lists", "lists", "Choose what a shortlist holds"),
        _key("w", "ask('shortlist')", "save list", "save", "Keep this choice by a name"),
        _key("x", "forget", "forget list", "forget", "Forget a shortlist"),
        _key("question_mark", "help", "help", "help", "What the keys do"),
        _key("escape", "back", "back", "back", "Leave the field, or go back without changing anything"),
        _key("home", "move('first')", "first", "first", "To the first candidate", show=False),
        _key("end", "move('last')", "last", "last", "To the last candidate", show=False),
        *MOVES,
    ]

    def __init__(
        self,
        worker: Worker,
        store: SettingsStore,
        entries: Sequence[BackendEntry],
        plan: Plan,
        clip_s: float | None = None,
    ) -> None:
        super().__init__()
        self._worker, self._store = worker, store
        self._entries, self._plan, self._clip_s = entries, plan, clip_s
        self._known = Offers()
        self._shown: tuple[Offer, ...] = ()
        self._added: tuple[Offer, ...] = ()
        self._chosen: dict[str, Candidate] | None = None
        self._asking: Asking = "filter"
        self._list = ""
        self._problem = ""

    def compose(self) -> ComposeResult:
        yield Static(id="pick-title")
        yield Input(compact=True, id="pick-input")
        yield Static(id="pick-header")
        yield PickList(id="pick-list")
        yield Static(id="pick-detail")
        yield Static(id="pick-total")
        yield KeyLine(always=("pick-help", "pick-back"))

    def on_mount(self) -> None:
        self.query_one(Input).display = False
        self._worker.offer(self._entries, self._plan.candidates, self._clip_s, self.post_message)
        self._show()

    # What the background reports.

    @on(OffersKnown)
    def _offers_known(self, message: OffersKnown) -> None:
        self._known = message.offers
        if self._chosen is None:
            self._chosen = {}
            for one in self._plan.candidates:
                self._choose(next((offer for offer in self._offers if _means(offer, one)), None), one.size)
            self._show()
            self._go_to(next((key for key in self._chosen), ""))
        else:
            self._show()

    @on(CandidatesRead)
    def _candidates_read(self, message: CandidatesRead) -> None:
        known = {offer.key for offer in self._offers}
        self._added += tuple(offer for offer in message.offers if offer.key not in known)
        if message.shortlist:
            self._chosen, self._list = {}, message.shortlist
        for offer in message.offers:
            self._choose(offer, offer.candidate.size)
        barred = [
            f"{offer.candidate.backend}: {offer.report.unavailable.advice}"
            for offer in message.offers
            if offer.report.unavailable
        ]
        self._problem = "; ".join((*message.problems, *barred))
        self._narrow("")
        self._go_to(next((offer.key for offer in message.offers), ""))

    # What is shown.

    @property
    def _offers(self) -> tuple[Offer, ...]:
        """All, each once."""
        return tuple({offer.key: offer for offer in (*self._known.offers, *self._added)}.values())

    @property
    def _here(self) -> Offer | None:
        place = self.query_one(PickList).highlighted
        return self._shown[place] if place is not None and place < len(self._shown) else None

    @on(PickList.WidthChanged)
    def _show(self) -> None:
        with self.app.batch_update():
            words = self.query_one(Input).value.casefold().split() if self._asking == "filter" else []
            here, chosen = self._here, self._chosen or {}
            self._shown = tuple(o for o in self._offers if all(word in _searched(o) for word in words))
            entries = self.query_one(PickList)
            layout = Layout(entries.text_width, self._offers)
            before = ["", *(offer.group for offer in self._shown)]
            entries.set_options(
                Option(layout.line(offer, chosen=offer.key in chosen, first=offer.group != above))
                for offer, above in zip(self._shown, before, strict=False)
            )
            self.query_one("#pick-header", Static).update(Content.styled(" " + layout.header(), "underline"))
            self._go_to(here.key if here else "")
            self._show_detail()
            self._show_total()

    def _go_to(self, key: str) -> None:
        places = (place for place, offer in enumerate(self._shown) if offer.key == key)
        self.query_one(PickList).highlighted = next(places, 0 if self._shown else None)

    def _show_total(self) -> None:
        chosen = self._chosen or {}
        offers = [offer for offer in self._offers if offer.key in chosen]
        named = [replace(offer, candidate=chosen[offer.key]) for offer in offers]
        parts: list[tuple[str, str] | str] = []
        for part in total(named, self._known, self._plan.runs, self._plan.warmup):
            parts += [" · ", part] if parts else [part]
        problem = self._problem and ("\n! " + self._problem, "$text-warning")
        self.query_one("#pick-total", Static).update(Content.assemble(*parts, *([problem] if problem else [])))
        title = [" Candidates", f"shortlist {one_line(self._list)}" if self._list else ""]
        title += [f"{len(self._shown)} of {len(self._offers)}" if len(self._shown) < len(self._offers) else ""]
        title += ["" if self._known.done else "reading the caches"]
        self.query_one("#pick-title", Static).update(Content(" · ".join(filter(None, title))))

    @on(OptionList.OptionHighlighted)
    def _show_detail(self) -> None:
        here, lines = self._here, ["nothing matches: esc shows all" if self._known.offers else ""]
        if here is not None:
            width = max(1, self.size.width - 2)
            lines = [line for one in details(here) for line in wrap(one_line(one), width)]
        self.query_one("#pick-detail", Static).update(Content("\n".join(lines)))
        self.refresh_bindings()

    # What the keys do.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer a key only where it does something."""
        if not self.is_mounted:
            return True
        if action in ("toggle_here", "all"):
            return self._here is not None and not self._here.barred
        if action == "clear" or parameters == ("shortlist",):
            return bool(self._chosen)
        if action in ("shortlists", "forget"):
            return any(self._store.settings.shortlists.values())
        return True

    def action_move(self, how: str) -> None:
        """Move through the list."""
        self.query_one(PickList).move(how)

    def action_toggle_here(self) -> None:
        """Choose what is highlighted, or leave it out."""
        if (here := self._here) is not None and not here.barred:
            self._switch([here])

    def action_all(self) -> None:
        """Choose what the highlighted name means for each backend that races by default, or leave all of it out."""
        if (here := self._here) is not None:
            meant = {here.candidate.backend: here}
            for offer in self._offers:
                named = here.group in (offer.group, *offer.report.sizes)
                if named and not offer.barred and not offer.candidate.entry.optional:
                    meant.setdefault(offer.candidate.backend, offer)
            self._switch(list(meant.values()), here.group)

    def _switch(self, offers: Sequence[Offer], name: str = "") -> None:
        """Choose all of these, where they have it by this name; where they are chosen, leave them out."""
        chosen = self._chosen = {} if self._chosen is None else self._chosen
        out = all(offer.key in chosen for offer in offers)
        for offer in offers:
            if out:
                chosen.pop(offer.key, None)
            else:
                self._choose(offer, name if name in offer.report.sizes else offer.candidate.size)
        self._problem = ""
        self._list = ""
        self._show()
        self.refresh_bindings()

    def _choose(self, offer: Offer | None, size: str) -> None:
        """Take a candidate under the name by which it was asked for."""
        if offer is not None and not offer.barred and self._chosen is not None:
            self._chosen.setdefault(offer.key, replace(offer.candidate, size=size))

    def action_clear(self) -> None:
        """Leave everything out."""
        self._chosen, self._list, self._problem = {}, "", ""
        self._show()
        self.refresh_bindings()

    def action_confirm(self) -> None:
        """Race what is chosen; in the field, take over what was typed."""
        field = self.query_one(Input)
        if field.display:
            self._answered(field.value)
        elif self._chosen:
            places = {offer.key: place for place, offer in enumerate(self._offers)}
            order = [entry.name for entry in self._entries]
            chosen = sorted(self._chosen.items(), key=lambda one: (order.index(one[1].backend), places.get(one[0], 0)))
            self._worker.stop_offering()
            self.dismiss(tuple(one for _, one in chosen))
        elif self._chosen is not None:
            self._problem = "choose at least one candidate"
            self._show_total()

    # The field.

    def action_ask(self, what: Asking) -> None:
        """Open the field for a filter, a model or a name."""
        self._asking = what
        field = self.query_one(Input)
        field.display = True
        field.placeholder = ASKS[what]
        field.value = self._list if what == "shortlist" else ""
        field.focus()

    @on(Input.Changed)
    def _typed(self) -> None:
        if self._asking == "filter":
            self._show()

    def _answered(self, text: str) -> None:
        text = text.strip()
        if self._asking == "filter":
            self.query_one(Input).display = False
            self.set_focus(None)
            return
        self._narrow("")
        if not text:
            return
        if self._asking == "model":
            self._asking = "filter"
            self._problem = ""
            self._worker.read_candidates([text], self._entries, self.post_message)
            return
        self._asking = "filter"
        self._keep(text)

    def _keep(self, text: str) -> None:
        try:
            name = shortlist_name(text)
        except ValueError as error:
            self._problem = f"a shortlist {error}"
        else:
            names = tuple(one.name for one in (self._chosen or {}).values())
            self._store.remember(shortlists={**self._store.settings.shortlists, name: names})
            self._list, self._problem = name, ""
        self._show_total()
        self.refresh_bindings()

    def _narrow(self, words: str) -> None:
        """Close the field, and show what holds these words."""
        field = self.query_one(Input)
        with self.prevent(Input.Changed):
            field.value = words
        field.display = bool(words)
        self.set_focus(None)
        self._show()

    def action_back(self) -> None:
        """Leave the field, or the screen."""
        field = self.query_one(Input)
        if field.display or field.value:
            self._asking = "filter"
            self._narrow("")
        else:
            self._worker.stop_offering()
            self.dismiss(None)

    # Shortlists.

    def action_shortlists(self) -> None:
        """Choose what a shortlist holds."""
        self._pick_list("Shortlists", self._take_list)

    def action_forget(self) -> None:
        """Forget a shortlist."""

        def forget(name: str) -> None:
            self._store.remember(shortlists={**self._store.settings.shortlists, name: ()})
            self._list = "" if self._list == name else self._list
            self._show_total()
            self.refresh_bindings()

        self._pick_list("Forget a shortlist", forget)

    def _pick_list(self, title: str, then: Callable[[str], None]) -> None:
        lists = {name: names for name, names in self._store.settings.shortlists.items() if names}
        offered = tuple(Choice(name, name, ", ".join(names)) for name, names in lists.items())

        def chosen(keys: tuple[str, ...] | None) -> None:
            if keys:
                then(keys[0])

        self.app.push_screen(ChoiceScreen(title, offered, (self._list,)), chosen)

    def _take_list(self, name: str) -> None:
        names = self._store.settings.shortlists.get(name, ())
        self._worker.read_candidates(names, self._entries, self.post_message, name)

    async def action_help(self) -> None:
        """Explain the keys."""
        from speedtest_tui.ui.screens.help import HelpScreen

        await self.app.push_screen(HelpScreen(tuple(b for b in self.BINDINGS if isinstance(b, Binding))))


def _means(offer: Offer, candidate: Candidate) -> bool:
    """Whether an offer is what a candidate's name means."""
    one = offer.candidate
    same = one.backend == candidate.backend and one.options == candidate.options
    return same and (one.size == candidate.size or candidate.size in offer.report.sizes)


def _searched(offer: Offer) -> str:
    """What a filter looks into."""
    source = offer.report.spec.source if offer.report.spec else ""
    words = (offer.group, offer.candidate.name, source, *offer.report.sizes, standing(offer)[0], offer.precision)
    return " ".join((*words, offer.languages)).casefold()
