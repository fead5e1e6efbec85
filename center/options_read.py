"""The options of `export` and `verify`, which `gated-center` and `gatectl` both have."""

import argparse


def add_verify(parser: argparse.ArgumentParser) -> None:
    """Which gate."""
    parser.add_argument("gate", nargs="?", metavar="GATE", help="only this gate")
    parser.add_argument("--json", action="store_true", help="print it for another program")


def add_export(parser: argparse.ArgumentParser) -> None:
    """Which events."""
    parser.add_argument("--gate", metavar="GATE", help="only this gate")
    parser.add_argument("--after", type=int, default=0, metavar="ID", help="only what was stored after this `id`")
