"""Memory of large arrays goes back to the system."""

import platform

from dashboard.shared import allocation


def test_glibc_takes_the_setting_once():
    found = allocation.give_back()
    assert found is allocation.give_back()
    if platform.libc_ver()[0] == "glibc":
        assert found
