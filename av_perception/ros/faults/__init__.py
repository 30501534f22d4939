# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong on robots, done to the running graph, and what the graph makes of it."""
