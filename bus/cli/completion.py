"""`hoot completion`: what a shell needs to complete `hoot` at the Tab key, the services of a running bus among it."""

import re
from typing import TYPE_CHECKING, Final

import click
from click.shell_completion import CompletionItem, get_completion_class

if TYPE_CHECKING:
    from hootbus.frames.address import BusAddress

_SHELLS: Final = ("bash", "zsh", "fish")
# Where click looks for what a shell asks, for a program of this name.
_VARIABLE: Final = "_HOOT_COMPLETE"
# Who presses Tab waits no longer for a broker than this.
_ASK_S: Final = 0.5
_PLAIN: Final = re.compile(r"[\w./-]+", re.ASCII)

_EPILOG: Final = """\b
Examples:
  source <(hoot completion bash)                             in ~/.bashrc
  source <(hoot completion zsh)                              in ~/.zshrc
  hoot completion fish > ~/.config/fish/completions/hoot.fish
\b
The services and methods behind `hoot call` are asked of the broker, for half a
second at most; without one nothing is offered, and nothing is said.
"""


@click.command(epilog=_EPILOG)
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that has a shell complete hoot."""
    kind = get_completion_class(shell)
    assert kind is not None, shell
    click.echo(kind(ctx.find_root().command, {}, "hoot", _VARIABLE).source())


def complete_target(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The services of the running bus with their methods; none if there is no bus."""
    bus: BusAddress | None = ctx.params.get("bus")
    return [CompletionItem(target) for target in _targets(bus) if target.startswith(incomplete)]


def _targets(bus: "BusAddress | None") -> list[str]:
    import logging

    from hootbus.frames.errors import HootError
    from hootbus.workers import Client

    # Whatever is wrong would be said in the midst of a command line.
    logging.getLogger("hootbus").setLevel(logging.CRITICAL)
    try:
        with Client(bus.text if bus is not None else None) as client:
            found = client.call("hoot.broker/services", timeout=_ASK_S, idempotent=True).json()["services"]
            targets = sorted(f"{each['name']}/{method}" for each in found for method in each["methods"] or [""])
    except (HootError, OSError, ValueError, KeyError, TypeError):
        return []
    # A shell puts them into a command line as they are, and workers may call their methods anything.
    return [target for target in targets if _PLAIN.fullmatch(target)]
