"""One module per calibration: docstring (its first line is the help text), `add_arguments(parser)` and `run(args) -> int`."""
