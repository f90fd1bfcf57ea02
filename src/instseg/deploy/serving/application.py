"""The whole application: all routes behind the guard, and errors as sentences."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from instseg import __version__
from instseg.core.errors import InstsegError
from instseg.deploy.serving.guard import Guard, refusal
from instseg.deploy.serving.limits import UNUSABLE, RefusedError
from instseg.deploy.serving.server import Server

CLIENT_LEFT = 499
"""As nginx calls it; nobody receives it."""


def application(server: Server, key: str | None, routers: Sequence[APIRouter]) -> ASGIApp:
    """Return an application of ASGI.

    Args:
        server: that answers.
        key: that every request needs; None: none, and only requests to a name of this machine are answered.
        routers: what is answered.
    """
    app = FastAPI(
        title="instseg", summary=f"Instance segmentation by {server.model.version}", version=__version__,
        lifespan=server.at_work, redoc_url=None,
    )  # fmt: skip
    for router in routers:
        app.include_router(router)
    app.add_exception_handler(InstsegError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _of_framework)
    app.add_exception_handler(ClientDisconnect, _left)
    return Guard(app, server.limits, key, server.meters)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    return refusal(error if isinstance(error, RefusedError) else RefusedError(UNUSABLE, str(error)))


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """Say which parameter is wrong in one sentence, the first of them."""
    first = error.errors()[0] if isinstance(error, RequestValidationError) else {}
    name = ".".join(str(part) for part in first.get("loc", ()) if part != "query")
    return refusal(RefusedError(UNUSABLE, f"{name}: {first.get('msg', error)}"))


async def _of_framework(request: Request, error: Exception) -> JSONResponse:
    status, detail = (error.status_code, error.detail) if isinstance(error, HTTPException) else (500, str(error))
    return refusal(RefusedError(status, detail))


async def _left(request: Request, error: Exception) -> Response:
    return Response(status_code=CLIENT_LEFT)
