"""What the tests of commands share: a daemon as far as its control socket goes."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gated import control


def listens(folder: Path) -> bool:
    """Whether something answers on the control socket."""
    try:
        return "error" in control.ask(folder, {})
    except control.NotRunning:
        return False


@contextmanager
def daemon(folder: Path, answers: Mapping[str, object]) -> Iterator[list[dict[str, Any]]]:
    """A daemon as far as the control socket goes: an answer an op; yields what it was asked."""
    asked: list[dict[str, Any]] = []
    ready, ended = threading.Event(), threading.Event()

    async def handle(request: Mapping[str, Any], _: str) -> Mapping[str, object]:
        asked.append(dict(request))
        answer = answers[request["op"]]
        return answer() if callable(answer) else answer  # type: ignore[return-value]

    def live() -> None:
        import asyncio  # noqa: PLC0415 - the daemon's side only

        async def serve() -> None:
            task = asyncio.create_task(control.serve(folder, handle))
            while not await asyncio.to_thread(listens, folder):  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
            ready.set()
            await asyncio.to_thread(ended.wait)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        asyncio.run(serve())

    thread = threading.Thread(target=live)
    thread.start()
    try:
        assert ready.wait(30)
        yield asked
    finally:
        ended.set()
        thread.join(30)
