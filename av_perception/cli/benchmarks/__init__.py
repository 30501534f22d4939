"""One module per benchmark: docstring (its first line is the help text), `add_arguments(parser)` and `run(args) -> int`."""
