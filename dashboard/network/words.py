"""How genes and signs are written on the page Network."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from gpovae_core.network.grn import SIGN_WORDS, GeneNetwork

SIGNS = st.column_config.TextColumn(
    help="Activates: the target falls when the source is knocked down. Represses: it rises."
)
"""The column of signs in a table."""


def gene_name(network: GeneNetwork):
    ids = network.panel.data.ids
    return lambda gene: f"{gene} ({ids[gene]})" if gene in ids else gene


def sign_words(signs: Iterable[int]) -> list[str]:
    return [SIGN_WORDS[sign] for sign in signs]
