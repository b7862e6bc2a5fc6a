"""`aiworker completion SHELL`: what a shell needs to complete commands and options.

The script asks `aiworker` itself at each Tab, so it knows every command of the installed version,
and what the platform has (id_completion.py).
"""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from web.cli.api_error import ApiError
from web.cli.main import COMPLETES


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes commands in bash, zsh or fish.

    \b
    bash: echo 'eval "$(aiworker completion bash)"' >> ~/.bashrc
    zsh:  echo 'eval "$(aiworker completion zsh)"' >> ~/.zshrc
    fish: aiworker completion fish > ~/.config/fish/completions/aiworker.fish
    """
    found = get_completion_class(shell)
    if found is None:
        raise ApiError(f"there is no completion for {shell}")
    maker = found(context.find_root().command, {}, "aiworker", COMPLETES)
    # Not source(): for bash it starts bash to learn its version, which is not needed to print the script.
    click.echo(maker.source_template % maker.source_vars())
