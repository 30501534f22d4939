# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""All stages in one process: a recording in, people and their speech out."""
