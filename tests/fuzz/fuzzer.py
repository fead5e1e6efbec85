"""One target under the coverage-guided fuzzer, in a process of its own: `python -m tests.fuzz.fuzzer NAME OPTIONS…`.

The options are libFuzzer's. What is to be covered is imported here and by the targets only, and so instrumented.
"""

import sys
from importlib import import_module
from typing import Final

_COVERED: Final = ["protocol", "gated.recording.salvage"]
_PLAIN: Final = ["protocol.checksum"]  # loops without a branch that tells anything


def main() -> None:
    """Returns never: the fuzzer ends the process."""
    atheris = import_module("atheris")  # there on few machines; not everybody's types
    with atheris.instrument_imports(include=_COVERED, exclude=_PLAIN):
        targets = import_module("tests.fuzz.targets").TARGETS
    program, name, *options = sys.argv
    atheris.Setup([program, *options], targets[name].check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
