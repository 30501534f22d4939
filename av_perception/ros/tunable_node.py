# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What parameters and diagnostics need of the node that they belong to."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from rclpy.lifecycle import LifecycleNode


class TunableNode(LifecycleNode):
    """A life-cycle node whose parameters may change while it runs.

    Attributes
    ----------
    is_active : bool
        Whether it is between activation and deactivation.
    handling : context manager
        Held while something is handled: messages and timers may come in different threads.
    """

    is_active = False
    handling: AbstractContextManager = nullcontext()

    def tune(self, value: Callable[[str], Any]) -> None:
        """Take over live parameters.

        Parameters
        ----------
        value : callable
            Reads them as they are to be.

        Raises
        ------
        UserError
            When they do not fit together: they are refused.
        """

    def value(self, name: str) -> Any:
        """Read a parameter."""
        return self.get_parameter(name).value
