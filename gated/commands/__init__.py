"""The commands of `gated`: one module each, with `add(subparsers)` and `run(args) -> int`.

They import what they need inside `run`: `gated --help` and a typing mistake should not cost the start of everything.
"""
