# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The graph as a whole: which nodes, as which processes, in which environment."""
