# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Running pretrained networks, and finding their weights."""
