# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The command av-perception: one module per verb, which keeps arguments, tables and printing."""
