"""Whether guides, batches and donors tell the same of an edge, in words."""

from __future__ import annotations

from gpovae_core import keys
from gpovae_core.network.parts import Part, Parts

PLURAL = {keys.GUIDE: "guides", keys.BATCH: "batches", keys.DONOR: "donors"}


def parts_in_words(found: Parts) -> str:
    """'One of 3 guides disagrees: ...'; names are as the data has them."""
    several, count = PLURAL[found.kind], len(found.parts)
    small = ""
    if found.small:
        left_out = found.kind if found.small == 1 else several
        small = f" {found.small:,} {left_out} with too few cells left out."
    if count == 1:
        return f"All that can be compared is one {found.kind}, {found.parts[0].name}.{small}"
    assert found.p is not None
    chance = f"p {found.p:.2g}"
    if not found.disagree:
        return f"The {count:,} {several} agree: they differ no more than by chance ({chance}).{small}"
    if found.odd is None:
        return f"The {count:,} {several} differ more than by chance ({chance}): {_range(found)}.{small}"
    one = found.parts[found.odd]
    rest = [part.fold for k, part in enumerate(found.parts) if k != found.odd]
    others = f"{min(rest):+.2f} to {max(rest):+.2f}"
    if _same_way(one, found.whole):
        how = "weaker" if abs(one.fold) < abs(sum(rest) / len(rest)) else "stronger"
        return (
            f"One of {count:,} {several} stands out: {one.name} shows a {how} effect ({one.fold:+.2f}; the "
            f"others {others}; {chance}).{small}"
        )
    shows = "no clear effect" if one.low <= 0 <= one.high else "the opposite"
    return (
        f"One of {count:,} {several} disagrees: {one.name} shows {shows} ({one.fold:+.2f}, {one.low:+.2f} to "
        f"{one.high:+.2f}; the others {others}; {chance}).{small}"
    )


def _same_way(part: Part, whole: Part) -> bool:
    """Whether a part shows a clear effect of the sign of the whole."""
    return part.low > 0 if whole.fold > 0 else part.high < 0


def _range(found: Parts) -> str:
    folds = [part.fold for part in found.parts]
    unlike = [part for part in found.parts if not _same_way(part, found.whole)]
    words = f"from {min(folds):+.2f} to {max(folds):+.2f}"
    if not unlike:
        return f"{words}, all in the same direction"
    named = ", ".join(part.name for part in unlike[:3]) + (" …" if len(unlike) > 3 else "")
    return f"{words}; no clear effect of the common sign in {len(unlike):,} of them ({named})"
