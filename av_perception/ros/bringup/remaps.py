# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Rules that rename topics, FROM:=TO, checked before the nodes are started."""

from __future__ import annotations

import re
from collections.abc import Iterable

from av_perception.errors import UserError
from av_perception.ros.bringup.access import ACCESS

# What rcl takes: of all nodes or of one (tracker:audio), beginning with / or ~/ or neither.
_FROM = re.compile(r'(\w+:)?(/|~/)?\w+(/\w+)*', re.ASCII)
_TO = re.compile(r'(/|~/)?[A-Za-z_]\w*(/[A-Za-z_]\w*)*', re.ASCII)


def checked_remaps(rules: Iterable[str]) -> list[str]:
    """Check rules.

    Parameters
    ----------
    rules
        Each FROM:=TO.

    Returns
    -------
    list of str
        The same.

    Raises
    ------
    UserError
        For what renames nothing, and for a topic that would get the name of another one: two
        types of messages under one name end the nodes.
    """
    rules = list(rules)
    pairs = [_parsed(rule) for rule in rules]
    ours = {
        topic.lstrip('/')
        for access in ACCESS.values()
        for topic in (*access.publishes, *access.subscribes)
    }
    free = {before.lstrip('/') for before, _ in pairs}
    for before, after in pairs:
        name = after.lstrip('/')
        if name in ours - free and name != before.lstrip('/'):
            raise UserError(
                f'--remap {before}:={after} would give two topics of the suite one name: '
                f'{name} is there already; rename it as well, or take another name'
            )
    return rules


def _parsed(rule: str) -> tuple[str, str]:
    before, sign, after = rule.partition(':=')
    if not (sign and _FROM.fullmatch(before) and _TO.fullmatch(after)):
        raise UserError(f"--remap needs FROM:=TO, as left/image_raw:=/camera/image, not '{rule}'")
    return before, after
