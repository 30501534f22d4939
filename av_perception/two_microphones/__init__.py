# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Faces and two microphones: time differences, their fusion with faces, events."""
