# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The sound of each person out of the sound of all."""
