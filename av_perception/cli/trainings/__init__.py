# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Trainings: one module each, the second word of `av-perception train`."""
