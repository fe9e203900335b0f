"""Notes that would repeat the same words are said once."""

from __future__ import annotations

from gpovae_core.reporting.notes import once


def missing(method: str, package: str, extra: str = "comparators") -> str:
    """As `methods.registry` writes it."""
    return (
        f"Pairs were not ranked by {method}: the package {package} is not installed "
        f"(pip install 'gpovae[{extra}]')."
    )


def test_packages_that_one_command_installs_are_one_note_where_the_first_stood() -> None:
    told = once(
        ["First.", missing("NOTEARS", "notears_pytorch"), "Second.", missing("DAGMA", "dagma"), "First."]
    )
    assert told == [
        "First.",
        "Pairs were not ranked by NOTEARS, DAGMA: the packages notears_pytorch, dagma are not installed "
        "(pip install 'gpovae[comparators]').",
        "Second.",
    ]


def test_other_notes_stay_as_they_are() -> None:
    alone = [missing("GIES", "gies"), missing("toy", "oracles", "other"), "Pairs were not ranked by x: why."]
    assert once(alone) == alone
    assert once(None) == []


def test_a_missing_package_is_said_as_the_methods_say_it() -> None:
    from gpovae_core.methods.extras import missing as said

    words = said("no_such_package_here", "comparators")
    assert f"Pairs were not ranked by toy: {words}" == missing("toy", "no_such_package_here")
