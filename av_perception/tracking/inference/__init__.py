# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The variational loop of one frame: E-S and M steps."""
