"""One word, one thing: the words that the screens, the commands and the docs share, each explained once.

docs/glossary.md is made from here: python -m gpovae_core.reporting.glossary > docs/glossary.md
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, partial
from textwrap import fill

MOST_WORDS = 25
"""So many words does a definition for a hover have at most."""
PAGE_WIDTH = 120
"""Characters in a line of the page."""


@dataclass(frozen=True)
class Term:
    """A word and what it means here.

    word: as a heading writes it; short: a definition of at most MOST_WORDS words, for a hover; more: what
    else a reader should know, one to three sentences; spellings: other ways in which screens write it (one in
    capitals is meant as it stands, any other in either case); see: words of other terms.
    """

    word: str
    short: str
    more: str
    spellings: tuple[str, ...] = ()
    see: tuple[str, ...] = ()


TERMS = (
    Term(
        "epoch",
        "One pass of the training over all its cells.",
        "After each the model is asked about validation cells that it does not learn from; where those "
        "get no better for a while, the training stops early.",
        ("epochs",),
        ("run",),
    ),
    Term(
        "BH share",
        "Of the strongest pairs, the share whose change is significant in held-out cells, adjusted for "
        "testing many (Benjamini-Hochberg).",
        "It judges a ranking without a known network. A pair that a path explains is significant and "
        "still no edge, so a ranking by size has a higher one than W.",
        ("share with BH p below the level",),
        ("held-out cells", "pair"),
    ),
    Term(
        "comes back",
        "How many of the networks from other draws of the same cells have the edge.",
        "Below half the edge is drawn faint: another draw of the cells would as likely have missed it.",
        ("recurrence",),
        ("ensemble", "edge"),
    ),
    Term(
        "run",
        "One training on one file of cells with one set of settings, with everything that came out of it, "
        "in one folder.",
        "Terminal, background job and browser share that folder. Two runs that differ in their seeds alone "
        "are repeats of one another.",
        ("runs",),
        ("ensemble",),
    ),
    Term(
        "sweep",
        "Many runs on the same cells that differ in a setting or in what is held out, compared in one table.",
        "What differs is called a point; each point is trained once per seed, as an ordinary run. A plan "
        "(one that comes with the program, or a file of one's own) says which points there are.",
        ("sweeps",),
        ("run", "seed"),
    ),
    Term(
        "seed",
        "The number that all draws of a run start from: which cells are held out, first weights, batches.",
        "Two runs that differ in it alone differ by chance, so a difference between settings counts where it "
        "is larger than that between seeds.",
        ("seeds",),
        ("run", "sweep"),
    ),
    Term(
        "panel",
        "The genes of the network: all perturbed genes, and extended genes that may stand between them.",
        "Only genes of the panel can be the ends of an edge. Predicted effects are given for every measured "
        "gene, inside the panel or not.",
        ("gene panel",),
        ("perturbed gene", "extended gene"),
    ),
    Term(
        "perturbation",
        "The change made to a cell on purpose: one gene, or several at once, knocked down or knocked out.",
        "Cells are grouped by it, and each group is compared with the control cells. A perturbation of two "
        "genes is written A+B and called a combination.",
        ("perturbations",),
        ("knock-down", "knock-out", "control"),
    ),
    Term(
        "perturbed gene",
        "A gene that was knocked down or out in some cells of the screen, so that cells speak for its edges.",
        "Edges out of it rest on cells in which it was changed. With whole perturbations held out, a gene "
        "counts as perturbed only where such cells were in the training.",
        ("perturbed genes", "perturbed"),
        ("extended gene", "perturbation"),
    ),
    Term(
        "extended gene",
        "A gene of the panel that was never perturbed: it may pass an effect on, but no cell shows its own "
        "edges.",
        "The preparation chooses extended genes for their clear response to perturbations; a small screen "
        "may take all measured genes. Edges out of them have no direct evidence and are hidden at first.",
        ("extended genes", "never perturbed"),
        ("perturbed gene", "open detour"),
    ),
    Term(
        "control",
        "A cell in which no gene was perturbed, such as one with a non-targeting guide; effects are "
        "measured against such cells.",
        "Controls also tell how large differences become by chance alone: put in the place of perturbed "
        "cells they give the false-edge rate and the null.",
        ("controls", "control cells", "control cell"),
        ("effect", "null"),
    ),
    Term(
        "knock-down",
        "A perturbation that lowers a gene's mRNA without removing the gene, as CRISPRi does.",
        "How far it went is read off the gene's own expression and differs between genes. Effects are "
        "compared per unit of that change.",
        ("knock-downs", "knocked down", "knockdown"),
        ("knock-out", "strength (S)"),
    ),
    Term(
        "knock-out",
        "A perturbation that breaks a gene by cutting its DNA; its mRNA may stay although its function is "
        "gone.",
        "So the mRNA says little of how far it went. Where most perturbed genes keep more than half of "
        "their mRNA, a loss of 90 % of the function is taken instead (settings network.perturbation and "
        "network.complete_loss).",
        ("knock-outs", "knocked out", "knockout"),
        ("knock-down",),
    ),
    Term(
        "effect",
        "How many times a gene's mean share of a cell's counts is larger in perturbed than in control cells, "
        "as log2 fold change.",
        "With its standard error and without the common lift; -1 is half, 1 twice as much. An effect may "
        "reach the gene directly or over other genes. Predictions are scored on another scale, the log "
        "difference of means.",
        ("effects",),
        ("lift", "edge", "influence (T_K)"),
    ),
    Term(
        "lift",
        "What all genes seem to rise or fall by together, because shares of counts add up to one.",
        "Where one abundant gene falls, the shares of all others rise, although nothing regulates them. It "
        "is estimated as the weighted median over genes and taken out before the network is fitted; where a "
        "perturbation moves most genes, off those that stay together.",
        ("common lift", "lifts"),
        ("effect",),
    ),
    Term(
        "edge",
        "An arrow from gene i to gene j: the model takes the effect of i on j for direct, with W above the "
        "threshold.",
        "The number of edges depends on the threshold, so it stands beside every score of a network. Row is "
        "the source, column the target, everywhere.",
        ("edges", "direct edge", "direct edges"),
        ("W", "path", "false-edge rate"),
    ),
    Term(
        "pair",
        "A source gene and a target gene that could have an edge.",
        "Scores judge pairs of a perturbed source and a measured target, since cells speak for these alone. "
        "A gene makes no pair with itself.",
        ("pairs",),
        ("edge",),
    ),
    Term(
        "threshold",
        "The value of W (or of T) above which a pair of genes is called an edge (or drawn).",
        "A higher one leaves fewer edges, of which as a rule a smaller share is expected to be false. It is "
        "chosen for reading; no training depends on it.",
        ("thresholds",),
        ("W", "edge", "false-edge rate"),
    ),
    Term(
        "W",
        "How probable it is that gene i acts on gene j directly, from 0 to 1.",
        "It counts that what no path explains may be a rest that a linear network leaves of a real one, and "
        "has come true in simulated worlds (not in runs of earlier versions: of their edges from 0.8 to 0.99 "
        "two in three were direct). A path over a gene that nobody perturbed cannot be told from an edge. In "
        "runs of the presets paper and released W is trained with the autoencoder and shows to a good part "
        "how variable a gene is; runs of cradle-vae and sams-vae have no W.",
        ("edge probability",),
        ("strength (S)", "open detour", "false-edge rate", "influence (T_K)"),
    ),
    Term(
        "strength (S)",
        "How much the target changes per unit of the source's own change if the edge is there; positive: "
        "the source activates.",
        "Both changes are log ratios against control. It has an interval; the product of W and S is what an "
        "edge passes on. Runs of the presets paper and released have none.",
        ("strength", "strengths", "S"),
        ("W", "influence (T_K)"),
    ),
    Term(
        "influence (T_K)",
        "Everything that a change of gene i changes in gene j, added up over paths of up to K edges.",
        "With B = W times S it adds up B along every walk of up to K edges; a gene in between that changes "
        "less than under its own perturbation passes on a little more than in proportion. The presets paper "
        "and released follow the published formulas, which weigh longer walks down. Its values are no "
        "probabilities.",
        ("influence", "influences", "T_K", "T", "all influence"),
        ("W", "hop", "path"),
    ),
    Term(
        "hop",
        "One step along an edge, from a gene to one that it regulates.",
        "K is the largest number of hops over which the model adds up influence; it is a setting of the run.",
        ("hops",),
        ("path", "influence (T_K)"),
    ),
    Term(
        "path",
        "A chain of edges from one gene to another that passes no gene twice.",
        "Its probability is the product of W along it, and its length the number of hops. Several paths may "
        "carry the same effect, and with different signs they may cancel.",
        ("paths", "path length"),
        ("hop", "influence (T_K)", "open detour"),
    ),
    Term(
        "open detour",
        "A gene nobody perturbed that the source changes more than the target: the edge may really run over "
        "it.",
        "A step passes on a part of a change, rarely more than all of it, so these are the genes to look "
        "at. An edge without any is more often direct; cells in which the named gene is perturbed would "
        "settle it.",
        ("open detours", "detour", "detours"),
        ("edge", "W", "extended gene"),
    ),
    Term(
        "evidence",
        "The cells that speak for or against an edge: those with its source perturbed, beside the controls.",
        "The Network page shows it on held-out cells. Edges out of extended genes have none. The default "
        "preset is called evidence because its W is fitted to such effects before anything is trained.",
        ("direct evidence",),
        ("held-out cells", "extended gene"),
    ),
    Term(
        "held-out cells",
        "Cells set aside before the training (neither fitted nor used to stop it), on which all scores are "
        "taken.",
        "By default they are drawn at random within each perturbation, so every perturbation was seen in "
        "other cells of the same guides and batches. `data.hold_out` holds out whole guides, donors or "
        "batches instead, a harder question, and the scores say so. "
        "Where whole perturbations are held out, none of their cells is trained on; that is "
        "harder still.",
        ("held-out", "held out", "test cells"),
        ("baseline", "ceiling"),
    ),
    Term(
        "false-edge rate",
        "The estimated share of edges at a threshold whose source does not change the target at all.",
        "It is estimated from controls put in the place of perturbed cells and judged by the same rule. "
        "Controls cannot tell whether an effect is direct, so a true effect over another gene is not "
        "counted as false here.",
        (
            "false edges",
            "estimated false",
            "expected false",
            "share of false edges",
            "estimated share of false edges",
        ),
        ("null", "control", "threshold"),
    ),
    Term(
        "null",
        "The same analysis where nothing can be found: controls relabelled as perturbed, tables shuffled.",
        "What still comes out is noise. gpovae null makes a whole screen of relabelled controls and fits "
        "everything anew.",
        ("nulls", "relabelled controls"),
        ("false-edge rate", "control"),
    ),
    Term(
        "baseline",
        "The score of an answer that tells nothing apart: for effects the mean over perturbations, for "
        "networks random pairs.",
        "A model that does not pass it has learned nothing that counts. Where the mean over perturbations "
        "is taken off first, the baseline is no effect at all.",
        (
            "baselines",
            "no effect",
            "mean perturbation",
            "mean over perturbations",
            "random pairs",
            "random edges",
        ),
        ("method without a model", "ceiling", "share of the achievable"),
    ),
    Term(
        "method without a model",
        "A simple way to the same answer, such as the training mean for effects or the mean difference for "
        "networks.",
        "The best of them stands beside every score: a model is worth its trouble where it is ahead. All "
        "are made from training cells.",
        ("without a model", "linear model", "mean difference", "mean differences"),
        ("training mean", "baseline"),
    ),
    Term(
        "training mean",
        "The plain mean effect in the training cells of the same perturbation; it needs no model.",
        "It is hard to beat for perturbations with many cells, and says nothing of a perturbation without "
        "training cells. The model with training mean weighs the two by the uncertainty of the mean.",
        (),
        ("method without a model",),
    ),
    Term(
        "ceiling",
        "The score that a perfect answer could expect against measurements as noisy as these; an estimate.",
        "For effects it comes from halving the cells, for networks from ranking pairs by the same test in "
        "the training cells. A method may lie a little above it.",
        ("ceilings",),
        ("baseline", "share of the achievable"),
    ),
    Term(
        "share of the achievable",
        "How far a score has come from the baseline (0 %) to the ceiling (100 %).",
        "(value - baseline) / (ceiling - baseline). It is not defined where no ceiling is known, or where "
        "the two differ by less than 2 %.",
        ("achievable",),
        ("baseline", "ceiling"),
    ),
    Term(
        "ensemble",
        "The network found again many times from cells drawn anew; an edge's recurrence is the share of "
        "them that have it.",
        "An edge that comes back is not an accident of the cells at hand. What misleads in all cells alike, "
        "such as an unmeasured gene, misleads every member, so it need not be direct.",
        ("ensembles", "found again"),
        ("run", "edge"),
    ),
    Term(
        "ATE-rho",
        "Correlation of predicted with observed effects; 1 is perfect. Larger is better, up to the ceiling.",
        "Over all perturbations and genes at once where nothing else is said (pooled); the median over "
        "perturbations stands beside it. ATE is the average treatment effect: mean of log2(counts per "
        "10,000 + 1) under the perturbation minus that of controls.",
        ("rho", "pooled rho"),
        ("effect", "held-out cells", "baseline", "ceiling"),
    ),
    Term(
        "muWD",
        "Mean Wasserstein distance: how far the targets' expression moves when the sources of the edges are "
        "perturbed. Larger is better.",
        "Averaged over edges, on held-out cells, in units of log(1 + counts per 10,000). It falls with the "
        "number of edges whatever the method, so compare networks at equal numbers of edges.",
        ("mu-WD", "mean Wasserstein distance", "Wasserstein distance", "mean distance"),
        ("edge", "baseline"),
    ),
    Term(
        "FOR",
        "False omission rate: of the pairs that no short path joins, the share with a significant effect. "
        "Smaller is better.",
        "Short means at most three edges (evaluation.omission_hops), significant a raw p of the rank test "
        "below the level. It is undefined where every pair is joined.",
        ("false omission rate", "FOR beyond"),
        ("path", "pair"),
    ),
    Term(
        "model's spread",
        "How far the model's own draws of an effect lie apart, widened by a factor found in validation "
        "cells; not a 95 % interval.",
        "1.96 standard deviations to either side, times that factor. It holds fewer of the largest measured "
        "effects than 95 %; how many of them, What if says. Where the network alone answers, 1.96 times its "
        "error on training perturbations that were left out in turn.",
        ("model's own spread",),
        ("effect", "held-out cells"),
    ),
    Term(
        "interaction",
        "A departure from additivity: two genes perturbed together do something else than the sum of their "
        "single effects.",
        "Judged on log ratios of shares, where the effects of genes that act independently add up, with the "
        "common lift taken out.",
        ("interactions", "non-additive", "additivity"),
        ("effect", "lift", "perturbation"),
    ),
)

BY_WORD = {term.word: term for term in TERMS}


def term(word: str) -> Term:
    """The term with that heading or spelling. Raises KeyError where the glossary lacks it."""
    if word in BY_WORD:
        return BY_WORD[word]
    found = [one for one in TERMS for spelling in one.spellings if _same(spelling, word)]
    if not found:
        raise KeyError(f"The glossary does not hold '{word}'. It holds: {', '.join(sorted(BY_WORD))}.")
    return found[0]


def terms_in(text: str) -> list[Term]:
    """The terms that a title or a label uses, the one with the longest spelling first, each once; what stands
    in quotation marks is a name.
    """
    text = re.sub(r"(?<!\w)'[^']*'(?!\w)", "", text)
    hits = []
    for one in TERMS:
        lengths = [len(hit[0]) for pattern in _patterns(one) if (hit := pattern.search(text))]
        if lengths:
            hits.append((-max(lengths), len(hits), one))
    return [one for *_, one in sorted(hits, key=lambda hit: hit[:2])]


@cache
def _patterns(one: Term) -> tuple[re.Pattern[str], ...]:
    return tuple(
        re.compile(rf"(?<!\w){re.escape(spelling)}(?!\w)", 0 if spelling.isupper() else re.IGNORECASE)
        for spelling in (one.word, *one.spellings)
    )


def _same(spelling: str, word: str) -> bool:
    return spelling == word if spelling.isupper() else spelling.lower() == word.lower()


def page() -> str:
    """docs/glossary.md, from A to Z."""
    wrap = partial(fill, width=PAGE_WIDTH, break_long_words=False, break_on_hyphens=False)
    parts = [
        "# Glossary",
        "One word, one thing: what the screens, the commands and these pages mean by it. On a screen the "
        "first sentence shows when the mouse rests on the word.",
        "Made from `gpovae_core/reporting/glossary.py` by `python -m gpovae_core.reporting.glossary > "
        "docs/glossary.md`.",
    ]
    for one in sorted(TERMS, key=lambda one: one.word.lower()):
        also = ", ".join(f"[{word}](#{_anchor(word)})" for word in one.see)
        see = f"\n\nSee also {also}." if also else ""
        parts.append(f"## {one.word}\n\n**{one.short}** {one.more}{see}")
    return "\n\n".join(wrap(part) for part in "\n\n".join(parts).split("\n\n")) + "\n"


def _anchor(word: str) -> str:
    """The address that a heading gets on the web page of a Markdown file."""
    return re.sub(r"[^\w\- ]", "", word.lower()).replace(" ", "-")


if __name__ == "__main__":
    print(page(), end="")
