# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Experiments and baselines: what is measured, on what, and the figures; `cli` prints them."""
