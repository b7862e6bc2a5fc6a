"""`python -m workers …`: the command `celery --app workers worker …`, with the same options.

Celery's command loads all its others, too, with a terminal toolkit and Flower: a fifth of a worker's start.
"""

from __future__ import annotations

from common.machine.lasting import lasting

with lasting():
    from celery.bin.base import CLIContext
    from celery.bin.worker import worker

    from workers.registry import app


def main() -> None:
    """Run the worker until it is asked to stop."""
    worker.params.extend(app.user_options["worker"])
    worker.main(prog_name="python -m workers", obj=CLIContext(app, no_color=True, workdir=None))


if __name__ == "__main__":
    main()
