"""The pages under their addresses.

    /                                      all sweeps
    /sweeps/TASK/NAME                      one sweep, with filters and sorting in the query
    /sweeps/TASK/NAME/charts               its charts as JSON, of the trials that pass the filters
    /sweeps/TASK/NAME/running              the trials that run now, as its driver has written
    /sweeps/TASK/NAME/trials/ID            one trial
    /sweeps/TASK/NAME/trials/ID/charts     its curves
    /sweeps/TASK/NAME/trials/ID/image?id=  an image that its samples name
    /compare?sweep=TASK/NAME&sweep=...     two or more sweeps
    /assets/FILE                           style sheet and scripts

A page's ETag is the version of what it shows, so asking for it again while nothing has changed
costs a listing of files.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from orchestrator.running.sample_images import image_loader
from orchestrator.serving.access import LocalOnly, TokenOnly
from orchestrator.serving.checked_data import CheckedData
from orchestrator.serving.headers import SafeHeaders
from orchestrator.serving.library import Library, combine_versions
from orchestrator.serving.sweep_texts import charts_text, sweep_text
from orchestrator.serving.trial_images import find_images
from results.page.charts.chart import charts_json
from results.page.charts.curves import trial_curves
from results.page.compare_page import compare_page
from results.page.html import ASSETS, asset, compressed_plotly, fill, plotly_script
from results.page.links import ServedLinks
from results.page.page_images import NO_IMAGES, PageImages
from results.page.selection import Selection
from results.page.sweeps_page import sweeps_page
from results.page.trial_page import trial_page
from results.redaction import redact
from results.render.show import find_trial
from tasks.contract import SweepError

_LINKS = ServedLinks()
_TYPES = {"css": "text/css", "js": "text/javascript"}
_MAX_COMPARED = 8


def make_app(library: Library, host: str = "127.0.0.1", token: str = "") -> Starlette:
    """Return the application that shows these sweeps.

    Args:
        library: the sweeps.
        host: the address that it listens on.
        token: what a browser must know; "" for none, on a loopback address.
    """
    pages = _Pages(library)
    access = Middleware(TokenOnly, token=token) if token else Middleware(LocalOnly, host=host)
    sweep = "/sweeps/{task}/{name}"
    return Starlette(
        routes=[
            Route("/", pages.sweeps),
            Route(sweep, pages.sweep),
            Route(f"{sweep}/charts", pages.sweep_charts),
            Route(f"{sweep}/running", pages.running),
            Route(f"{sweep}/trials/{{trial}}", pages.trial),
            Route(f"{sweep}/trials/{{trial}}/charts", pages.trial_charts),
            Route(f"{sweep}/trials/{{trial}}/image", pages.trial_image),
            Route("/compare", pages.compare),
            Route("/assets/plotly.js", pages.plotly),
            Route("/assets/{file}", pages.asset),
        ],
        middleware=[
            Middleware(SafeHeaders),
            access,
            Middleware(GZipMiddleware, minimum_size=2000, compresslevel=4),
        ],
        exception_handlers={SweepError: _explain, HTTPException: _refuse},
    )


class _Pages:
    """Answers requests. Starlette calls each method in a thread."""

    def __init__(self, library: Library) -> None:
        self._library, self._data = library, CheckedData()

    def sweeps(self, request: Request) -> Response:
        found = self._library.all()
        root, now = redact(self._library.root), datetime.now(UTC)
        return _answer(
            request,
            combine_versions(found),
            lambda version: sweeps_page([held.line for held in found], root, now, version=version),
        )

    def sweep(self, request: Request) -> Response:
        held = self._library.get(*_sweep_of(request))
        selection = Selection.from_query(request.query_params.items())
        return _answer(request, held.version, lambda _: sweep_text(held, selection))

    def sweep_charts(self, request: Request) -> Response:
        held = self._library.get(*_sweep_of(request))
        selection = Selection.from_query(request.query_params.items())
        return _json(charts_text(held, selection))

    def running(self, request: Request) -> Response:
        text = self._library.running(*_sweep_of(request))
        return _json(text) if text else Response(status_code=204)

    def trial(self, request: Request) -> Response:
        held = self._library.get(*_sweep_of(request))
        if _has(request, held.version):  # and the images, which are checked when they are loaded
            return _unchanged(held.version)
        sweep = held.readable
        trial = find_trial(sweep, request.path_params["trial"])
        address = _LINKS.trial(sweep.manifest.task, sweep.manifest.name, str(trial["trial_id"]))

        def addresses() -> PageImages:
            image_loader(sweep, trial, self._data.check)  # fails without the data
            return PageImages(address=lambda each: f"{address}/image?{urlencode({'id': each})}")

        images = find_images(sweep, trial, addresses)  # outside ``make``: it may take seconds
        missing = "" if images is NO_IMAGES else images.problem
        # A page that misses its images is another version, so they appear when the data is back.
        version = combine_versions([held], missing) if missing else held.version

        def build(tag: str) -> str:
            charts_url = f"{address}/charts"
            return held.make(
                f"trial {trial['trial_id']} {missing}",
                lambda _: trial_page(
                    sweep, trial, _LINKS, images=images, charts_url=charts_url, version=tag
                ),
            )

        return _answer(request, version, build)

    def trial_charts(self, request: Request) -> Response:
        held = self._library.get(*_sweep_of(request))
        trial_id = request.path_params["trial"]
        text = held.make(
            f"charts of {trial_id}",
            lambda sweep: charts_json(trial_curves(sweep, find_trial(sweep, trial_id))),
        )
        return _json(text)

    def trial_image(self, request: Request) -> Response:
        held = self._library.get(*_sweep_of(request))
        trial = find_trial(held.readable, request.path_params["trial"])
        load = image_loader(held.readable, trial, self._data.check)
        blob = load(request.query_params.get("id", ""))
        return Response(blob, media_type="image/jpeg", headers={"Cache-Control": "max-age=3600"})

    def compare(self, request: Request) -> Response:
        names = list(dict.fromkeys(request.query_params.getlist("sweep")))
        if not 2 <= len(names) <= _MAX_COMPARED:
            raise HTTPException(400, f"Select two to {_MAX_COMPARED} sweeps to compare.")
        found = [self._library.get(*name.split("/", 1)) for name in names if "/" in name]
        sweeps = [held.sweep for held in found if held.sweep is not None]
        if len(sweeps) < len(names):
            raise HTTPException(404, "One of the sweeps does not exist or is damaged.")
        return _answer(
            request,
            combine_versions(found),
            lambda version: compare_page(sweeps, _LINKS, version=version),
        )

    def plotly(self, request: Request) -> Response:
        headers = {"Cache-Control": "max-age=86400", "Vary": "Accept-Encoding"}
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return FileResponse(plotly_script(), media_type=_TYPES["js"], headers=headers)
        headers["Content-Encoding"] = "gzip"
        return Response(compressed_plotly(), media_type=_TYPES["js"], headers=headers)

    def asset(self, request: Request) -> Response:
        file = request.path_params["file"]
        if file not in ASSETS:
            raise HTTPException(404)
        return Response(asset(file), media_type=_TYPES[file.rpartition(".")[2]])


def _sweep_of(request: Request) -> tuple[str, str]:
    return request.path_params["task"], request.path_params["name"]


def _answer(request: Request, version: str, build: Callable[[str], str]) -> Response:
    """Return a page, or 304 if the browser has this version of it."""
    if _has(request, version):
        return _unchanged(version)
    tag = f'"{version}"'
    return HTMLResponse(build(tag), headers={"ETag": tag})


def _has(request: Request, version: str) -> bool:
    """Return whether the browser has this version of a page."""
    return request.headers.get("if-none-match", "").removeprefix("W/") == f'"{version}"'


def _unchanged(version: str) -> Response:
    return Response(status_code=304, headers={"ETag": f'"{version}"'})


def _json(text: str) -> Response:
    return Response(text, media_type="application/json")


def _explain(request: Request, error: Exception) -> Response:
    """Return an expected error as a page."""
    message = redact(str(error))
    page = fill("message.html", title="This page cannot be shown", message=message)
    return HTMLResponse(page, 404)


def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    page = fill("message.html", title=f"Error {error.status_code}", message=error.detail)
    return HTMLResponse(page, error.status_code)
