"""The policy in force: what the committee has signed, over what the gate's own configuration says.

A document that cannot be read changes nothing: what held before goes on to hold, and `trouble` says so. A gate that
starts with such a document has its own configuration.
"""

from dataclasses import replace
from pathlib import Path

from gated.config import Config
from gated.lanes import schedule
from gated.lanes.decide import Policy
from gated.lists import trust_folder
from gated.logs import FilteringBoundLogger
from protocol.message import MessageError
from protocol.policy import DOCUMENT, PolicyDocument


def of_config(config: Config) -> Policy:
    """What the gate's own configuration says."""
    return Policy(
        schedules={name: schedule.parse(lines) for name, lines in config.schedules.items()},
        holidays=frozenset(config.holidays),
    )


class SignedPolicy:
    """The policy of one gate. `refresh` it when the verified documents have changed."""

    def __init__(self, config: Config, state: Path, log: FilteringBoundLogger) -> None:
        self.policy = self._own = of_config(config)
        self.trouble = ""
        self._state = state
        self._log = log

    def refresh(self) -> Policy:
        """The policy by the documents in force now."""
        try:
            document = trust_folder.documents(self._state).get(DOCUMENT)
            self.policy = self._own if document is None else self._over(PolicyDocument.from_bytes(document))
            self.trouble = ""
        except (OSError, MessageError, ValueError) as error:
            self.trouble = f"the signed policy cannot be read, what held before goes on: {error}"
            self._log.error("policy.unreadable", why=str(error))
        return self.policy

    def _over(self, document: PolicyDocument) -> Policy:
        own = self._own
        signed = {name: schedule.parse(lines) for name, lines in document.schedules.items()}
        repeats = {name: lane.repeat for name, lane in document.lanes.items() if lane.repeat is not None}
        return replace(
            own,
            schedules={**own.schedules, **signed},
            holidays=own.holidays if document.holidays is None else frozenset(document.holidays),
            repeats=repeats,
        )
