# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Figures of merit of tracks, boxes and diarization against the truth."""
