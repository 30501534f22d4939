# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Birth, life, re-identification and death of tracks."""
