# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Busy processes are there while they are wanted, and no longer."""

from __future__ import annotations

import pytest

from av_perception.benchmarks.busy_processes import busy_processes


def test_they_run_until_the_context_is_left_however_it_is_left():
    with pytest.raises(RuntimeError), busy_processes(2) as processes:
        assert [process.poll() for process in processes] == [None, None]
        raise RuntimeError
    assert all(process.poll() is not None for process in processes)


def test_none_is_none():
    with busy_processes(0) as processes:
        assert processes == []
