# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""One module per calibration: its help as docstring, `add_arguments(parser)` and `run(args)`.

The first line of the docstring is the help text; `run` returns the exit status.
"""
