# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Mouths: crops of tracked faces, and what their motion says of who speaks."""
