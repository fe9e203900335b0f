"""What was decided in reading a file, one line each, with what else could have been taken."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Option(BaseModel):
    """Something that could be taken. value: what the setting has to be for it; text: as a person reads it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: str
    text: str


class Decision(BaseModel):
    """One choice among several readings of a file.

    setting: field of DataSettings that changes it ("label_column"), empty where nothing does; about: what is
    chosen, two or three words ("Labels"); taken: what was taken, as a person reads it, empty where nothing
    could be; why: the reason, one clause; options: what the setting may be; asked: True where a person has to
    choose before the file can be used.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    setting: str
    about: str
    taken: str
    why: str
    options: tuple[Option, ...] = ()
    asked: bool = False

    @property
    def line(self) -> str:
        """'Labels: column gene, because its values are measured genes.'"""
        said = self.taken or "nothing"
        return f"{self.about}: {said}{', ' if self.why else ''}{self.why}."
