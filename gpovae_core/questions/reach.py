"""A question to a run, and how far its screen can answer it: how strong its perturbations were, and which
genes its training cells speak for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from gpovae_core import keys
from gpovae_core.config import Settings
from gpovae_core.data.kinds import ACTIVATION, KNOCK_OUT, Kind
from gpovae_core.data.schema import Panel, PreparedCells
from gpovae_core.effects.contrasts import contrasts
from gpovae_core.errors import QueryError
from gpovae_core.methods.fitted import NetworkFit
from gpovae_core.methods.own_change import ASSUMED, SOURCES, TYPICAL, OwnChange, Source, own_change

Basis = Literal[
    "seen",
    "held out",
    "extended",
    "seen combination",
    "combination of seen genes",
    "partly unseen combination",
]
"""What an answer rests on. held out: the run has cells of it, none of which trained; extended: the gene was
never perturbed.
"""

MOST_GENES = 4
LARGEST_LOSS = 0.99
MOST_FOLD = 100.0
"""Times its mRNA to which a gene may be asked to be activated."""
GIVEN = "given"
FEW_CELLS = 50
"""Training cells of a perturbation below which only large effects are told from noise."""


@dataclass(frozen=True)
class Question:
    """Panel genes, and of each the share of its mRNA that is lost, below 0 where it is activated (-1: to
    twice as much); None: as much as the screen reached. raised: those of them that are activated, and knocked
    down in other cells of the screen.
    """

    loss: Mapping[str, float | None]
    raised: frozenset[str] = frozenset()

    @property
    def genes(self) -> tuple[str, ...]:
        return tuple(self.loss)

    @property
    def named(self) -> dict[str, float | None]:
        """`loss` by the names of the perturbations, as cells of the screen are labelled."""
        return {gene + keys.ACTIVATED * (gene in self.raised): loss for gene, loss in self.loss.items()}

    @property
    def perturbation(self) -> str:
        """The name under which such cells would stand in the data."""
        return keys.PAIR_SEPARATOR.join(sorted(self.named))

    def with_loss(self, given: Mapping[str, float]) -> Question:
        """The same with the losses that are given, by the names of the perturbations."""
        losses = zip(self.genes, self.named, strict=True)
        return Question({gene: given.get(name) for gene, name in losses}, self.raised)

    def alone(self) -> list[Question]:
        """A question for each of its genes by itself, of the same strength."""
        return [Question({gene: loss}, self.raised & {gene}) for gene, loss in self.loss.items()]

    @property
    def as_in_the_screen(self) -> bool:
        return all(loss is None for loss in self.loss.values())


def question(panel: Panel, loss: Mapping[str, float | None]) -> Question:
    """The question in the panel's spelling; genes may end in keys.ACTIVATED. Raises QueryError for genes
    outside the panel, none, or more than MOST_GENES, and for one that is to be knocked down and activated at
    once.
    """
    spelled = {panel.canonical(name): value for name, value in loss.items()}
    twice = sorted({keys.genes_of(name)[0] for name in spelled if keys.is_raised(name)} & set(spelled))
    if twice:
        raise QueryError(f"{twice[0]} cannot be knocked down and activated in one cell: ask for one of them.")
    named = {keys.genes_of(name)[0]: value for name, value in spelled.items()}
    raised = frozenset(keys.genes_of(name)[0] for name in spelled if keys.is_raised(name))
    if not 1 <= len(named) <= MOST_GENES:
        raise QueryError(f"Ask for 1 to {MOST_GENES} genes at a time; got {len(named)}.")
    return Question(named, raised)


def check_loss(perturbation: str, loss: float) -> None:
    """Raises QueryError for a loss that a knock-down, or an activation, cannot have."""
    if keys.is_raised(perturbation):
        if not 1.0 < 1.0 - loss <= MOST_FOLD:
            raise QueryError(
                f"The activation of {keys.genes_of(perturbation)[0]} must raise it to more than 1 and at "
                f"most {MOST_FOLD:g} times its mRNA; got {1 - loss:.4g} times."
            )
    elif not 0.0 < loss <= LARGEST_LOSS:
        raise QueryError(
            f"The knock-down of {perturbation} must take more than 0 and at most {LARGEST_LOSS:.0%} of its "
            f"mRNA; got {loss:.4g}. Give a fraction such as 0.8."
        )


@dataclass(frozen=True)
class Rise:
    """Natural log fold change of a gene where it is activated, and how that is known."""

    change: float
    source: Source


def _rises(
    prepared: PreparedCells, settings: Settings, stage: NetworkFit | None, own: OwnChange
) -> dict[str, Rise]:
    """Of every gene that is activated in cells of its own: as the network stage of the run has it, else from
    the training cells; of one held out as a whole what is typical of the others, or the mirror image of its
    knock-down where there are none.
    """
    panel = prepared.panel
    names = [keys.genes_of(name)[0] for name in prepared.perturbations if keys.is_raised(name)]
    if not names:
        return {}
    if stage is not None and stage.raised is not None:
        places, change, codes = stage.raised.genes, stage.raised.own_change, stage.raised.own_source
    else:
        observed, network = contrasts(prepared, both=True), settings.network
        second = observed.second
        found = own_change(observed, network.perturbation, network.complete_loss).of(second)
        places, change, codes = observed.sources[second], found.change, found.source_codes
    known = {
        panel.genes[int(place)]: Rise(float(rise), SOURCES[int(code)])
        for place, rise, code in zip(places, change, codes, strict=True)
    }
    typical = float(np.median([rise.change for rise in known.values()])) if known else None

    def other(gene: str) -> Rise:
        if typical is not None:
            return Rise(typical, TYPICAL)
        return Rise(float(abs(own.change[panel.position(gene)])), ASSUMED)

    return {gene: known.get(gene) or other(gene) for gene in names}


@dataclass(frozen=True)
class Strength:
    """How much of a gene's mRNA (or, after a knock-out, function) a question takes away: lost, a share, below
    0 where the gene is activated; and how that is known, "given" where whoever asked said so.
    """

    lost: float
    kind: Kind
    source: Source | Literal["given"]

    def in_words(self) -> str:
        """'loses 78 % of its mRNA'"""
        if self.kind == ACTIVATION:
            return f"is activated to {1 - self.lost:.1f} x of its mRNA"
        what = "function (a knock-out)" if self.kind == KNOCK_OUT else "mRNA"
        return f"loses {100 * self.lost:.0f} % of its {what}"


@dataclass(frozen=True)
class Reach:
    """How far the screen knocked every panel gene down, and which genes its training cells speak for.

    own: of all n panel genes, how far their own mRNA falls when they are perturbed, and how that is known;
    trained, held_out: (n,) bool, the gene alone has training cells, or cells but none of them training;
    combinations: those with training cells; influence: (n, n) T_K, None where the run has no signed one;
    raised: of genes with cells where they are activated, and others where they are knocked down, how far
    their mRNA rises, and how that is known.
    """

    panel: Panel
    own: OwnChange
    trained: np.ndarray
    held_out: np.ndarray
    combinations: frozenset[str]
    influence: np.ndarray | None = None
    raised: Mapping[str, Rise] = field(default_factory=dict)

    @classmethod
    def of(cls, prepared: PreparedCells, settings: Settings, stage: NetworkFit | None = None) -> Reach:
        """From the network stage where the run had one, else from the training cells."""
        panel = prepared.panel
        training = set(prepared.labels[prepared.where(splits=(keys.TRAIN,))])
        alone, alone_in_training = (
            {name.removesuffix(keys.ACTIVATED) for name in names}
            for names in (set(prepared.labels), training)
        )
        trained = np.array([gene in alone_in_training for gene in panel.genes])
        held_out = np.array([gene in alone - alone_in_training for gene in panel.genes])
        if stage is not None:
            own = stage.own
        else:
            observed, network = contrasts(prepared), settings.network
            own = own_change(observed, network.perturbation, network.complete_loss).over(
                len(panel), observed.sources, network.complete_loss
            )
        combinations = frozenset(name for name in training if keys.PAIR_SEPARATOR in name)
        influence = None if stage is None else stage.influence
        raised = _rises(prepared, settings, stage, own)
        return cls(panel, own, trained, held_out, combinations, influence, raised)

    def reached(self, gene: str) -> float:
        """Share of the gene's mRNA (or, after a knock-out, function) that its perturbation is taken to remove
        in this screen.
        """
        return float(-np.expm1(self.own.change[self.panel.position(gene)]))

    def strength(self, gene: str, loss: float | None, raised: bool = False) -> Strength:
        """What a question takes away of a gene; loss: None for as much as the screen did; raised: whether it
        is activated, and knocked down in other cells.
        """
        at = self.panel.position(gene)
        if raised:
            rise = self._rise(gene)
            lost = float(-np.expm1(rise.change)) if loss is None else loss
            return Strength(lost, ACTIVATION, rise.source if loss is None else GIVEN)
        source = self.own.source[at] if loss is None else GIVEN
        return Strength(self.reached(gene) if loss is None else loss, self.own.kind[at], source)

    def _rise(self, gene: str) -> Rise:
        if gene not in self.raised:
            raise QueryError(
                f"No cell of this screen has {gene} activated beside others where it is knocked down. Ask "
                f"for {gene} as it was perturbed."
            )
        return self.raised[gene]

    def dose(self, gene: str, loss: float | None) -> float:
        """Ratio of log(1 - loss) to the log fold change that the screen reached; 1 where loss is None. Raises
        QueryError.
        """
        if loss is None:
            return 1.0
        if self.own.kind[self.panel.position(gene)] == ACTIVATION:
            raise QueryError(
                f"{gene} was activated in this screen: what its loss would do was not measured. Ask for it "
                "without a strength, which answers for the activation that the screen reached."
            )
        check_loss(gene, loss)
        return float(np.log1p(-loss) / self.own.change[self.panel.position(gene)])

    def dose_in(self, asked: Question, gene: str) -> float:
        """`dose` of a gene of a question; below zero where it is activated: minus one as far as the screen
        activated it, and the ratio of the logs of another rise to that.
        """
        loss = asked.loss[gene]
        if gene not in asked.raised:
            return self.dose(gene, loss)
        rise = self._rise(gene)
        if loss is None:
            return -1.0
        check_loss(gene + keys.ACTIVATED, loss)
        return float(-np.log1p(-loss) / rise.change)

    def doses(self, asked: Question) -> dict[str, float]:
        """Dose of every gene of a question; smaller after knock-outs where one gene of a combination already
        lowers another.
        """
        doses = {gene: self.dose_in(asked, gene) for gene in asked.genes}
        if (
            len(doses) < 2
            or asked.raised
            or not all(self.strength(gene, None).kind == KNOCK_OUT for gene in doses)
            or self.influence is None
            or self.basis(asked.genes) == "seen combination"
        ):
            return doses
        places = [self.panel.position(gene) for gene in doses]
        among = self.influence[np.ix_(places, places)] * (1 - np.eye(len(places)))
        wanted = np.array(list(doses.values())) * self.own.change[places]
        own = np.linalg.lstsq(np.eye(len(places)) + among.T, wanted, rcond=None)[0] / self.own.change[places]
        return {
            gene: float(np.clip(x, 0.0, most)) for (gene, most), x in zip(doses.items(), own, strict=True)
        }

    def basis(self, genes: tuple[str, ...]) -> Basis:
        """What an answer about these panel genes together rests on."""
        places = [self.panel.position(gene) for gene in genes]
        if len(places) == 1:
            return (
                "seen" if self.trained[places[0]] else "held out" if self.held_out[places[0]] else "extended"
            )
        if keys.PAIR_SEPARATOR.join(sorted(self.panel.genes[i] for i in places)) in self.combinations:
            return "seen combination"
        return "combination of seen genes" if self.trained[places].all() else "partly unseen combination"

    def spoken_for(self, genes: tuple[str, ...]) -> tuple[str, ...]:
        """Those of the genes that the model was trained on: alone, or in exactly this combination."""
        if self.basis(genes) == "seen combination":
            return genes
        return tuple(gene for gene in genes if self.trained[self.panel.position(gene)])
