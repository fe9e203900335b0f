"""What a person reads on a page of the app under test."""

from __future__ import annotations

from collections.abc import Callable

from streamlit.testing.v1 import AppTest

Opener = Callable[..., AppTest]


def words(app: AppTest) -> str:
    """All text on the page that is not inside a chart or the network picture."""
    parts = [
        *app.title,
        *app.subheader,
        *app.markdown,
        *app.caption,
        *app.info,
        *app.warning,
        *app.error,
        *app.success,
        *app.code,
    ]
    return "\n".join(str(part.value) for part in parts)
