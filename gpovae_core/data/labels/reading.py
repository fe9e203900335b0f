"""From a column of labels as laboratories write them to `control`, a gene, or genes joined by '+' in sorted
order.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gpovae_core import keys
from gpovae_core.config import DataSettings
from gpovae_core.data.decisions import Decision, Option
from gpovae_core.data.labels import affixes, dates
from gpovae_core.data.labels.choose_control import Chosen, choose_control
from gpovae_core.data.labels.controls import CHOSEN, control_kind, without_control
from gpovae_core.data.labels.names import ENSEMBL, Found, Names
from gpovae_core.data.labels.remarks import remarks
from gpovae_core.data.labels.text import JOINTS, label_text, tidy

if TYPE_CHECKING:
    import pandas as pd

    from gpovae_core.errors import Problem

NO_SINGLE_GUIDE = {
    *(
        "unassigned",
        "unknown",
        "ambiguous",
        "multiplet",
        "multiple",
        "doublet",
        "negative",
        "undetermined",
        "*",
    ),
    *(
        "no guide",
        "no_guide",
        "no-guide",
        "noguide",
        "no sgrna",
        "no_sgrna",
        "multi",
        "mixed",
        "not assigned",
    ),
}
UNCLEAR_SHARE = 0.01
"""Share of the labelled cells whose labels may be unclear before a person is asked."""
NEARLY_ALL, FEWEST_NEAR = 0.75, 3
"""Of the targets that are not measured this share, and so many, have to be near to a measured gene to say so
of them where they are half of the targets or more; where no target is measured, half of them."""
_OUTSIDE = " []{}()'\""


@dataclass
class Parsed:
    """What one label says. controls: kinds of control among its parts; found: its other parts; reason: why it
    is left out, "" where it is not; unclear: (what it may mean, why it is not clear) where that has to be
    decided.
    """

    controls: list[str] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)
    reason: str = ""
    unclear: tuple[tuple[str, ...], str] | None = None

    @property
    def genes(self) -> list[str]:
        return sorted({gene for found in self.found for gene in found.genes})


@dataclass(frozen=True)
class Labels:
    """canonical: cell id -> CONTROL, a gene, or genes joined by '+'; None where the cell is left out (then
    `left_out` says why).

    left_out: reason -> {label as written: cells}. control_label: as written in the file (the most frequent
    where merged). targets: the genes that are named, measured or not.
    """

    canonical: pd.Series | None
    control_label: str = ""
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    targets: frozenset[str] = frozenset()


def read_labels(
    column: pd.Series, names: Names, settings: DataSettings | None = None, hint: str | None = None
) -> Labels:
    """Canonical labels of every cell.

    names: the measured genes; settings: control_label, pair_separator, unclear_labels and non_perturbed are
    looked at; hint: uns["control_label"] of the file.
    """
    settings = settings or DataSettings()
    text = label_text(column, settings.control_label)
    counts = {str(name): int(n) for name, n in text.value_counts().items() if name}
    missing = int((text == "").sum())
    chosen = choose_control(counts, names, settings.control_label, hint, str(column.name), missing)
    if not counts or chosen.problem is not None:
        found = [chosen.problem] if chosen.problem else []
        return Labels(None, chosen.label, problems=found, decisions=[chosen.decision])
    parser = _Parser(names, chosen, settings.pair_separator)
    parsed = {name: parser.parse(name) for name in counts}
    judge_together(parsed, names)
    canonical: dict[str, str | None] = {"": None}
    reasons = {"": "no label"}
    unclear = {name: one.unclear for name, one in parsed.items() if one.unclear}
    for name, one in parsed.items():
        canonical[name], reasons[name] = _canonical(name, one, chosen, settings)
    left_out: dict[str, dict[str, int]] = {}
    for name, n in {**counts, "": missing}.items():
        if canonical[name] is None and n:
            left_out.setdefault(reasons[name], {})[name] = n
    cells = sum(counts[name] for name in unclear)
    asked = settings.unclear_labels == "ask" and cells > UNCLEAR_SHARE * sum(counts.values())
    problems, notes = remarks(counts, canonical, reasons, parsed, asked)
    decisions = [chosen.decision, *_decisions(parsed, counts, settings, asked)]
    targets = frozenset(
        gene
        for label in canonical.values()
        if label and label != keys.CONTROL
        for gene in label.split(keys.PAIR_SEPARATOR)
    )
    return Labels(text.map(canonical), chosen.label, left_out, problems, notes, decisions, targets)


def read_together(labels: Collection[str], names: Names, control: str | None = None) -> dict[str, Parsed]:
    """Label -> what it says, where nothing has to be chosen: names of guides, for instance. control: a name
    of the control beside its usual ones.
    """
    told = (control,) if control and control_kind(control) is None else ()
    decision = Decision(setting="control_label", about="Control", taken=control or "", why="")
    parser = _Parser(names, Chosen("", CHOSEN, decision, words=told), None)
    parsed = {label: parser.parse(label) for label in labels}
    judge_together(parsed, names)
    return parsed


class _Parser:
    """Reads one label at a time."""

    def __init__(self, names: Names, chosen: Chosen, pair_separator: str | None) -> None:
        self.names, self.chosen, self.separator = names, chosen, pair_separator

    def parse(self, label: str) -> Parsed:
        if label == self.chosen.label:
            return Parsed(controls=[self.chosen.kind])
        text = tidy(label).strip(_OUTSIDE)
        if text.casefold() in NO_SINGLE_GUIDE:
            return Parsed(reason="no single perturbation assigned")
        halves = text.split("__")
        if len(halves) == 2 and halves[0] == halves[1]:  # AHR_FEV__AHR_FEV: both barcodes of one cell
            return self.parse(halves[0])
        if text in self.names.targets:
            plus = keys.PAIR_SEPARATOR in text
            how = "" if text == label.strip(_OUTSIDE) else "spelling"
            return Parsed(reason="gene name with '+'") if plus else Parsed(found=[Found((text,), how=how)])
        if affixes.WILD_TYPE.search(text):
            return Parsed(unclear=((keys.CONTROL,), "near"))
        parts = self._parts(affixes.without_genotype(text))
        result = Parsed()
        for part in filter(None, parts):
            self._read_part(part, len(parts) > 1, result)
        if not parts or not all(parts):
            return Parsed(unclear=(tuple(result.genes), "malformed"))
        if text != label.strip(_OUTSIDE):
            result.found = [replace(found, how=found.how or "spelling") for found in result.found]
        return result

    def _parts(self, text: str) -> list[str]:
        if self.separator == "none":
            parts = text.split(keys.PAIR_SEPARATOR)
        elif self.separator and self._one_gene(text):
            parts = [text]
        elif self.separator:
            parts = re.split(rf"\s*(?:{re.escape(self.separator)}|\+)\s*", text)
        elif keys.PAIR_SEPARATOR in text:
            parts = JOINTS.split(text)
        else:
            parts = JOINTS.split(text.strip(" |;,&/~"))
        return self._without_own_id([part.strip(_OUTSIDE) for part in parts], text)

    def _without_own_id(self, parts: list[str], text: str) -> list[str]:
        """STAT1 for STAT1|ENSG00000115415: the id of the gene beside it, and where that is not known no other
        gene either. A '+' joins genes, whatever they are called.
        """
        ids = [part for part in parts if ENSEMBL.fullmatch(part)]
        if len(ids) != 1 or keys.PAIR_SEPARATOR in text:
            return parts
        rest = [part for part in parts if part not in ids]
        named = {gene for part in rest for gene in self.names.find(part).genes}
        own = self.names.whole(ids[0])[0] <= named and any(map(self.names.looks_like_gene, named))
        return rest if own else parts

    def _one_gene(self, text: str) -> bool:
        """Whether a text names a single measured gene, whatever stands in it: HLA-A_g1 where '-' joins."""
        found = self.names.find(text)
        return len(found.genes) == 1 and not found.guess

    def _read_part(self, part: str, in_company: bool, into: Parsed) -> None:
        if part in self.names.targets:
            into.found.append(Found((part,)))
            return
        if kind := control_kind(part):
            into.controls.append(kind)
            return
        kind, rest = without_control(part, chosen=self.chosen.words)
        if kind is None:
            if in_company and affixes.is_guide(part):
                return
            into.found.append(found := self._find(part))
            number = all(map(affixes.is_plain_number, affixes.tokens_of(part)))
            if not found.genes or (in_company and number):
                into.unclear = into.unclear or (found.near, _why(part))
            return
        into.controls.append(kind)
        for piece in rest:
            into.found.append(found := self._find(piece))
            stranger = found.guess and not all(map(self.names.looks_like_gene, found.guess))
            if not found.genes or stranger:
                into.unclear = into.unclear or (found.near or (keys.CONTROL,), "near")

    def _find(self, part: str) -> Found:
        found = self.names.find(part)
        if self.separator and len(found.genes) > 1:  # what joins genes is told: here it does not stand
            return Found((part,), guess=(part,))
        return found


def _why(part: str) -> str:
    code = affixes.is_number(part) or affixes.is_code(part)
    return "number" if code else "date" if dates.date_in(part) else "near"


def judge_together(parsed: Mapping[str, Parsed], names: Names) -> None:
    """What one label cannot tell and all together can: whether '_' joins genes in this file, whether a word
    beside all genes is a gene, and whether a number belongs to the name of a gene that is not measured.
    """
    _judge_crossed(parsed, names)
    _judge_wrapped(parsed, names)
    joints = {found.joint for one in parsed.values() for found in one.found if not one.unclear}
    numbered = _numbers_are_guides(parsed)
    for one in parsed.values():
        for i, found in enumerate(one.found):
            if found.joint[:1] == "?" and found.joint[1:] not in joints:
                one.unclear = one.unclear or ((keys.PAIR_SEPARATOR.join(found.genes),), "pair")
            stem = _numbered_stem(found, names)
            if stem and numbered:
                one.found[i] = replace(found, genes=(stem,), guess=(stem,), how="guide")
    if not numbered:
        _judge_repeated(parsed, names)
    _judge_run_together(parsed)
    _judge_unmeasured(parsed, names)


def _judge_run_together(parsed: Mapping[str, Parsed]) -> None:
    """A name that is not measured and made of two other targets of the file (FEV-KLF5 beside FEV and KLF5)
    may be their combination.
    """
    targets = {gene for one in parsed.values() if not one.unclear for gene in one.genes}
    for one in parsed.values():
        for found in one.found:
            pair = _two_of(found.genes[0], targets) if len(found.genes) == 1 and found.guess else None
            if pair:
                one.unclear = one.unclear or ((keys.PAIR_SEPARATOR.join(sorted(pair)),), "pair")


def _two_of(name: str, targets: Collection[str]) -> tuple[str, str] | None:
    """Two targets at the ends of a name, with up to five characters between them."""
    for end in range(3, len(name) - 2):
        for start in range(end, min(end + 6, len(name) - 2)):
            if name[:end] in targets and name[start:] in targets:
                return name[:end], name[start:]
    return None


_VARIES = re.compile(r"[ACGTN]{8,}|\d+|(?<![A-Za-z0-9])[A-Z](?![A-Za-z0-9])")


def _judge_wrapped(parsed: Mapping[str, Parsed], names: Names) -> None:
    """Where next to every measured gene is written with something beside it (STAT1_P1, STAT1-A), the same is
    no part of the name of a gene that is not measured (FEV_P1).
    """
    genes_in: dict[tuple[str, str], set[str]] = {}
    plain = wrapped = 0
    singles = [
        (part, one, i)
        for label, one in parsed.items()
        if not one.unclear
        for parts in [JOINTS.split(affixes.without_genotype(tidy(label)))]
        for i, part in enumerate(parts)
        if len(one.found) == len(parts) and len(one.found[i].genes) == 1
    ]
    for part, one, i in singles:
        gene = one.found[i].genes[0]
        if one.found[i].guess:
            continue
        at = part.find(gene) if one.found[i].how == "guide" else -1
        plain, wrapped = plain + (at < 0), wrapped + (at >= 0)
        if at >= 0:
            beside = (part[:at], part[at + len(gene) :])
            genes_in.setdefault(beside, set()).add(gene)
    if plain > wrapped / 10 or len(set().union(*genes_in.values())) < 2:
        return
    forms = {f"{_form(before)}(.+?){_form(after)}" for before, after in genes_in}
    patterns = [re.compile(form) for form in sorted(forms, key=lambda form: (-len(form), form))]
    for part, one, i in singles:
        found = one.found[i]
        matches = (pattern.fullmatch(part) for pattern in patterns if found.guess)
        name = next((match[1] for match in matches if match and names.looks_like_gene(match[1])), None)
        if name is not None and name != found.genes[0]:
            one.found[i] = replace(found, genes=(name,), guess=(name,), how="guide")


def _form(beside: str) -> str:
    """What stands beside a gene as a pattern: numbers, single letters and sequences may differ."""
    pattern, last = "", 0
    for match in _VARIES.finditer(beside):
        any_of = "[A-Z]" if len(match[0]) == 1 and match[0].isalpha() else r"\d+"
        any_of = "[ACGTN]{8,}" if len(match[0]) >= 8 and match[0].isalpha() else any_of
        pattern, last = f"{pattern}{re.escape(beside[last : match.start()])}{any_of}", match.end()
    return pattern + re.escape(beside[last:])


def _judge_unmeasured(parsed: Mapping[str, Parsed], names: Names) -> None:
    """A file in which most targets are not measured: its labels are unclear where most of these have a
    measured gene near to them, or none is measured and they do not look like names of genes (codes, wells,
    drugs).
    """
    targets = {gene for one in parsed.values() for gene in one.genes}
    strange = targets - names.genes
    if len(targets) < 2 or 2 * len(strange) < len(targets) or any(one.unclear for one in parsed.values()):
        return
    near = {target: names.near_to(target, cut=True) for target in strange}
    count = sum(bool(found) for found in near.values())
    if strange == targets:
        nearly = 2 * count >= len(targets)
        genes = sum(all(map(names.looks_like_gene, re.split("_+", target))) for target in targets)
        if not nearly and genes >= len(targets) / 2:
            return
    else:
        nearly = count >= max(FEWEST_NEAR, NEARLY_ALL * len(strange))
        if not nearly:
            return
    for one in parsed.values():
        mean = sorted({gene for target in one.genes for gene in near.get(target, ())})
        if one.genes and (mean or not nearly):
            one.unclear = ((*mean,), "near") if nearly else ((), "none")


def _judge_crossed(parsed: Mapping[str, Parsed], names: Names) -> None:
    """A word that is no measured gene and stands on the same side of most genes (STAT1_IFNG, JAK2_IFNG, ...)
    may be a condition.
    """
    measured = {gene for one in parsed.values() for gene in one.genes if gene in names.genes}
    partners: dict[str, set[str]] = {}
    sides: dict[str, set[bool]] = {}
    for label, one in parsed.items():
        for found in one.found:
            for word in found.guess if found.joint[:1] not in ("", "?") or one.controls else ():
                partners.setdefault(word, set()).update(set(found.genes) - {word})
                sides.setdefault(word, set()).add(tidy(label).endswith(word))
    crossed = {
        word
        for word, genes in partners.items()
        if len(genes & measured) >= 3 and len(genes & measured) > len(measured) / 2 and len(sides[word]) == 1
    }
    for one in parsed.values():
        for found in one.found:
            if crossed & set(found.guess):
                near = tuple(gene for gene in found.genes if gene in names.genes)
                one.unclear = one.unclear or (near or (keys.CONTROL,), "near")


_NUMBERED = re.compile(r"(.+?)[-_. ]\d{1,4}")


def _numbered_stem(found: Found, names: Names) -> str | None:
    if len(found.guess) != 1 or found.guess != found.genes:
        return None
    match = _NUMBERED.fullmatch(found.guess[0])
    return match[1] if match and names.looks_like_gene(match[1]) else None


def _numbers_are_guides(parsed: Mapping[str, Parsed]) -> bool:
    """Whether nearly every measured gene of the file is written with a number behind it."""
    plain, numbered = set(), set()
    for label, one in parsed.items():
        for part, found in zip(JOINTS.split(tidy(label)), one.found, strict=False):
            if len(found.genes) == 1 and not found.guess:
                (numbered if found.how == "guide" and _NUMBERED.fullmatch(part) else plain).add(part)
    return len(numbered) >= 2 and len(plain) <= len(numbered) / 10


def _judge_repeated(parsed: Mapping[str, Parsed], names: Names) -> None:
    """Names that are not measured and differ by a number alone (FOO_1, FOO_2, BAR_1, BAR_2) may be guides:
    every gene would fall into several perturbations.
    """
    singles = {
        label: one.found[0] for label, one in parsed.items() if len(one.found) == 1 and not one.unclear
    }
    stems: dict[str, set[str]] = {}
    for found in singles.values():
        stem = _numbered_stem(found, names)
        if stem:
            stems.setdefault(stem, set()).add(found.genes[0])
    repeated = {name for group in stems.values() if len(group) > 1 for name in group}
    targets = {found.genes for found in singles.values()}
    if len(repeated) <= len(targets) / 2:
        return
    for label, found in singles.items():
        if found.genes[0] in repeated:
            parsed[label].unclear = ((str(_numbered_stem(found, names)),), "guide")


def _canonical(name: str, one: Parsed, chosen: Chosen, settings: DataSettings) -> tuple[str | None, str]:
    """(canonical label or None, why it is left out)."""
    if one.reason:
        return None, one.reason
    if one.unclear:
        near = one.unclear[0]
        if settings.unclear_labels == "nearest" and len(near) == 1:
            return near[0], ""
        written = one.genes or [tidy(name)]
        if settings.unclear_labels == "as written" and not any(
            keys.PAIR_SEPARATOR in gene for gene in written
        ):
            return keys.PAIR_SEPARATOR.join(written), ""
        return None, "unclear label"
    if settings.non_perturbed == "leave out" and any(found.kind == "NP" for found in one.found):
        return None, "not perturbed, as Mixscape has it"
    if one.genes:
        return keys.PAIR_SEPARATOR.join(one.genes), ""
    if not one.controls:
        return None, "unclear label"
    same = all(kind in {chosen.kind, CHOSEN} for kind in one.controls)
    return (keys.CONTROL, "") if same else (None, "another kind of control")


def _decisions(
    parsed: Mapping[str, Parsed], counts: Mapping[str, int], settings: DataSettings, asked: bool
) -> list[Decision]:
    """Those that only some files need: combinations, unclear labels, cells without a response."""
    made = []
    guessed = sorted(name for name, one in parsed.items() if any(f.joint for f in one.found))
    if guessed or settings.pair_separator:
        made.append(_pairs(guessed, parsed, settings))
    unclear = sorted(name for name, one in parsed.items() if one.unclear)
    if unclear:
        taken = {"ask": "" if asked else "left out", "nearest": "taken for the nearest gene"}
        made.append(
            Decision(
                setting="unclear_labels",
                about="Unclear labels",
                taken=taken.get(settings.unclear_labels, settings.unclear_labels),
                why=f"{_listed(unclear)} in {sum(counts[name] for name in unclear):,} cells",
                options=_UNCLEAR
                if any(one.unclear and one.unclear[0] for one in parsed.values())
                else _UNCLEAR[1:],
                asked=asked,
            )
        )
    escaped = sorted(name for name, one in parsed.items() if any(found.kind == "NP" for found in one.found))
    if escaped:
        keep = settings.non_perturbed == "keep"
        why = (
            "choosing cells by their response makes effects larger than they are"
            if keep
            else "as chosen: effects of the rest are those of cells that respond"
        )
        made.append(
            Decision(
                setting="non_perturbed",
                about="Cells that Mixscape calls not perturbed (NP)",
                taken="kept" if keep else "left out",
                why=why,
                options=_NON_PERTURBED,
            )
        )
    return made


_UNCLEAR = (
    Option(value="nearest", text="take the nearest gene"),
    Option(value="leave out", text="leave these cells out"),
    Option(value="as written", text="targets of their own, not measured"),
)
_NON_PERTURBED = (
    Option(value="keep", text="keep them with their gene"),
    Option(value="leave out", text="leave them out"),
)


def _pairs(guessed: Sequence[str], parsed: Mapping[str, Parsed], settings: DataSettings) -> Decision:
    shown = [f"'{name}' as {keys.PAIR_SEPARATOR.join(parsed[name].genes)}" for name in guessed[:2]]
    told = settings.pair_separator
    return Decision(
        setting="pair_separator",
        about="Combinations",
        taken=f"genes joined by '{told}'" if told else "read out of the labels",
        why="as chosen" if told else ", ".join(shown),
        options=(
            Option(value="_", text="'_' joins genes"),
            Option(value="-", text="'-' joins genes"),
            Option(value=" ", text="a space joins genes"),
            Option(value="none", text="only '+' joins genes"),
        ),
    )


def _listed(labels: Sequence[str], most: int = 3) -> str:
    return ", ".join(f"'{label}'" for label in labels[:most]) + (" ..." if len(labels) > most else "")
