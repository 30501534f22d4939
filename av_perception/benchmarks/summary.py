# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Figures of many runs as means over the runs of a kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np


def averaged(results: Sequence[Any], by: Sequence[str], leave_out: Sequence[str]) -> list[dict]:
    """Average the figures of results that agree in some of their fields.

    Parameters
    ----------
    results
        Dataclasses of one type.
    by
        Names of the fields in which the results of a group agree.
    leave_out
        Names of fields that are no figures, as the seed.

    Returns
    -------
    list of dict
        One row per group, in the order of the first results: the fields of `by`, `scenes` (how
        many results there are), and of every other field the mean and the standard deviation
        (`..._sd`).
    """
    groups: dict[tuple, list[Any]] = {}
    for result in results:
        groups.setdefault(tuple(getattr(result, name) for name in by), []).append(result)
    rows = []
    for key, group in groups.items():
        row: dict = {**dict(zip(by, key)), 'scenes': len(group)}
        figures = [f.name for f in fields(group[0]) if f.name not in (*by, *leave_out)]
        for name in figures:
            values = np.array([getattr(result, name) for result in group], float)
            row[name] = float(values.mean())
            row[f'{name}_sd'] = float(values.std())
        rows.append(row)
    return rows
