"""The job that takes pictures of a task's preview and shows them on its pull request. Nothing waits for it."""

from __future__ import annotations

import structlog

from common.errors import ProviderRefused, ProviderUnavailable
from common.jobs import catalogue
from common.machine.programs.bubblewrap import find_sandbox
from common.providers.forge import forge
from common.providers.runtime import runtime
from common.services.changes import preview_pictures
from common.services.changes.preview_pictures import NewPicture, PicturePlan, PictureTarget
from common.settings import settings
from workers.execution.job_run import Claimed, job
from workers.screenshots.screenshots import HEIGHT, WIDTH, NoScreenshot, RunningBrowser, ScreenshotBrowser

log = structlog.get_logger()

FOLDER = "pictures"
"""In the data directory."""
BUSY_SECONDS = 3.0


@job(catalogue.TAKE_PICTURES)
def take_pictures(job: Claimed) -> None:
    plan = preview_pictures.begin_pictures(job.lease)
    if plan is None:
        return
    if plan.targets and plan.commit_sha is not None:
        browser = find_browser()
        if browser is not None:
            preview_pictures.record_pictures(job.lease, plan.commit_sha, _take(browser, plan.targets))
        return
    try:
        _show(plan)
    except ProviderRefused as error:
        log.warning("a pull request does not show the pictures", pull=plan.pr_number, reason=error.message)
    preview_pictures.record_shown(job.lease, plan.commit_sha)


def find_browser() -> ScreenshotBrowser | None:
    """What takes pictures on this machine; None where there is no browser, or none that can be confined."""
    chosen = settings()
    program = chosen.pictures.program()
    if program is None or chosen.sandbox.mode == "off" or not find_sandbox().is_confining:
        return None
    return ScreenshotBrowser(program, chosen.store.data_dir / FOLDER, hidden=(chosen.store.data_dir,))


def _take(browser: ScreenshotBrowser, targets: tuple[PictureTarget, ...]) -> list[NewPicture]:
    try:
        with browser.ready() as browser_process:
            return [_picture(browser_process, target) for target in targets]
    except BlockingIOError as error:
        raise ProviderUnavailable("another picture is being taken", retry_after_seconds=BUSY_SECONDS) from error


def _picture(browser_process: RunningBrowser, target: PictureTarget) -> NewPicture:
    content, problem = None, None
    try:
        # A guarded preview lets in a browser that comes by an address made for it.
        content = browser_process.take(runtime().open_app(target.app) or target.url)
    except (NoScreenshot, ProviderRefused) as error:
        problem = str(error)
        log.warning("no picture was taken", kind=target.kind, reason=problem)
    return NewPicture(target.kind, target.commit_sha, WIDTH, HEIGHT, content, problem)


def _show(plan: PicturePlan) -> None:
    """Show the plan's pictures on the pull request, which shows none of another commit then."""
    if plan.pr_number is None:
        return
    commit = plan.commit_sha or ""
    body = f"The preview of {commit[:12]} as AiWorker's browser saw it, beside what runs without the change."
    if len(plan.pictures) == 1:
        body = f"The preview of {commit[:12]} as AiWorker's browser saw it."
    forge().ensure_pictures(
        plan.location.repository,
        plan.pr_number,
        head=plan.branch,
        version=commit or "none",
        body=body,
        pictures=plan.pictures,
    )
