"""A thousand requests at once to text_worker.py, from one asyncio task each."""

import asyncio

from hootbus.workers import AsyncClient


async def main() -> None:
    async with AsyncClient() as bus:

        async def upper(text: str) -> str:
            reply = await bus.call("text/upper", {"text": text}, idempotent=True)
            return str(reply.json()["text"])

        words = await asyncio.gather(*(upper(f"word {number}") for number in range(1000)))
        print(len(words), words[-1])


asyncio.run(main())
