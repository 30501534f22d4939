# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Bags: what they hold, recording, playing, and computing from them offline."""
