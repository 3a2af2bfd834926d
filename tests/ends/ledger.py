"""A ledger from the outside: what each caller was told, beside what the workers have done, request by request."""

import asyncio
import textwrap
from collections import Counter
from pathlib import Path
from typing import Final

from hootbus.workers import AsyncClient, HootError

CALLERS: Final = 16
_PROGRAM: Final = """
    import asyncio, os
    from hootbus.workers import Worker

    worker = Worker("text", slots=8)
    done = os.open("done", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    @worker.method
    async def upper(text: str) -> str:
        # Long enough that some are always on their way.
        await asyncio.sleep(0.005)
        os.write(done, text.encode() + b"\\n")
        return text.upper()

    @worker.method
    async def pid() -> int:
        return os.getpid()
"""


def write_program(folder: Path) -> Path:
    """`program:worker`, which notes in `done` what it has carried out."""
    (folder / "program.py").write_text(textwrap.dedent(_PROGRAM))
    (folder / "done").touch()
    return folder


class Ledger:
    """Callers that never pause, and what became of each of their requests; every other one may be repeated."""

    def __init__(self, bus: AsyncClient, folder: Path, *, patient: bool = False) -> None:
        self._bus = bus
        self._folder = folder
        self._patient = patient
        self._stop = False
        self._goal = 0
        self._reached = asyncio.Event()
        self._told: dict[str, str] = {}
        self._asked = 0

    async def __aenter__(self) -> "Ledger":
        self._callers = [asyncio.create_task(self._call_on(number)) for number in range(CALLERS)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop = True
        await asyncio.gather(*self._callers)

    async def answered(self, more: int = 100) -> None:
        """Returns once so many further requests were carried out."""
        self._goal = self.outcomes()["ok"] + more
        self._reached.clear()
        async with asyncio.timeout(30):
            await self._reached.wait()

    def outcomes(self, kind: str = "") -> Counter[str]:
        """How often which; of the requests `once` or `again` only, if asked for."""
        return Counter(code for text, code in self._told.items() if text.startswith(kind))

    def balance(self) -> None:
        """Each request has one outcome, and it is the truth: one that ended well was carried out, and any other that
        must not be repeated was not, unless it is said not to be known."""
        assert len(self._told) == self._asked, "a request had no outcome"
        done = Counter((self._folder / "done").read_text().split("\n")[:-1])
        for text, code in self._told.items():
            if code == "ok":
                assert done[text], f"{text} was never carried out"
            if text.startswith("once"):
                assert done[text] <= 1, f"{text} was carried out {done[text]} times"
                assert code in ("ok", "worker_lost") or not done[text], f"{text} was carried out, and ended {code}"

    async def _call_on(self, number: int) -> None:
        kind = "again" if number % 2 else "once"
        while not self._stop:
            self._asked += 1
            text = f"{kind}-{self._asked}"
            try:
                reply = await self._bus.call(
                    "text/upper", text, idempotent=kind == "again", wait=self._patient, timeout=20
                )
                assert reply.json() == text.upper(), "another's reply"
                self._told[text] = "ok"
            except HootError as error:
                self._told[text] = error.code
                # One that is refused is refused at once: thousands of those would tell no more.
                await asyncio.sleep(0.005)
            if self._goal and self.outcomes()["ok"] >= self._goal:
                self._goal = 0
                self._reached.set()
