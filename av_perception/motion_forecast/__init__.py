# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Where people will be within the next two seconds, and how sure that is."""
