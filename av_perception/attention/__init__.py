# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whom to look at: a policy over tracks, speech and gaze, and the angles of the neck for it."""
