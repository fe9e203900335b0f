"""What the wheel holds beside the package: the app, in gpovae_core/_app. pyproject.toml names its parts."""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class AppInWheel(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":  # finds the app in the checkout, and needs no copy of it
            return
        build_data["force_include"] |= {name: f"gpovae_core/_app/{name}" for name in self.config["app"]}
