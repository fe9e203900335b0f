"""The best that any ranking could do on the very cells it is scored on, their noise included."""

from __future__ import annotations

from gpovae_core.methods.method import Look, Method

METHOD = Method(
    key="bound",
    order=110,
    title="best possible on these very cells",
    sentence="The bound ranks pairs by the held-out cells themselves, their noise included.",
    role="bound",
    needs=frozenset(),
    score=None,
    look=Look("grey", "longdash", "star-triangle-up-open", 1.2),
)
