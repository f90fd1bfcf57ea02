"""The protocol of X-AnyLabeling's remote servers, below ``/v1``: an image in, polygons out.

X-AnyLabeling runs files of networks that it knows, and no Mask R-CNN is among them; what a server finds it takes from
any that answers as its own does.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec
from fastapi import APIRouter, Request

from instseg.core.masks import rle_to_bitmask
from instseg.core.polygons import bitmask_to_polygons
from instseg.core.types import Prediction
from instseg.deploy.serving.limits import UNUSABLE, RefusedError
from instseg.deploy.serving.model import ServedModel
from instseg.deploy.serving.server import Server
from instseg.prediction.thresholds import Thresholds

PREFIX, MODEL = "/v1", "instseg"
PX_DECIMALS = 2


class _Parameters(msgspec.Struct):
    conf_threshold: float | None = None


class _Asked(msgspec.Struct):
    image: str
    params: _Parameters = msgspec.field(default_factory=_Parameters)


def routes(server: Server) -> APIRouter:
    """Return the routes.

    Args:
        server: that answers.
    """
    router = APIRouter(prefix=PREFIX, tags=["X-AnyLabeling"])

    @router.get("/models")
    def models() -> Mapping[str, object]:
        """List the one model, with the controls that it has in X-AnyLabeling."""
        controls = {
            "button_run": None,
            "input_conf": None,
            "edit_conf": shown_threshold(server.model),
            "toggle_preserve_existing_annotations": False,
        }
        widgets = [{"name": name, "value": value} for name, value in controls.items()]
        described = {"display_name": f"instseg {server.model.version}", "widgets": widgets, "params": {}}
        return {"success": True, "data": {MODEL: described}}

    @router.post("/predict")
    async def predict(request: Request) -> Mapping[str, object]:
        """Return the instances on an image as polygons."""
        async with server.batches.place():
            shapes = await _shapes(_parsed(await request.body()), server)
        return {"success": True, "data": {"shapes": shapes, "description": ""}}

    return router


def shown_threshold(model: ServedModel) -> float:
    """Return the threshold that X-AnyLabeling shows at first: the lowest of all categories."""
    return round(min(model.thresholds.by_category.values()), 2)


def _parsed(content: bytes) -> _Asked:
    try:
        return msgspec.json.decode(content, type=_Asked)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError(UNUSABLE, f"not a request of X-AnyLabeling: {error}") from error


async def _shapes(asked: _Asked, server: Server) -> list[dict[str, object]]:
    with tempfile.NamedTemporaryFile(dir=server.folder) as file:
        file.write(_decoded(asked.image))
        file.flush()
        _, found = await server.find(Path(file.name))
    kept = server.model.kept(found, _thresholds(asked.params.conf_threshold, server.model))
    names = server.model.names(kept.labels)
    server.meters.instances(names)
    return await asyncio.to_thread(as_shapes, kept, names)


def _decoded(image: str) -> bytes:
    """Return the bytes of an image in base64, with or without the ``data:image/png;base64,`` before it."""
    try:
        return base64.b64decode(image.rpartition(",")[2], validate=True)
    except (binascii.Error, ValueError) as error:
        raise RefusedError(UNUSABLE, f"the image is no base64: {error}") from error


def _thresholds(asked: float | None, model: ServedModel) -> Thresholds:
    """Return those of the server, each category its own, while the one that is shown has not been changed."""
    is_unchanged = asked is None or abs(asked - shown_threshold(model)) < 1e-6
    return model.thresholds if is_unchanged else model.thresholds_of(asked)


def as_shapes(found: Prediction, names: list[str]) -> list[dict[str, object]]:
    """Return instances as shapes of X-AnyLabeling; parts of one instance have its number as their group.

    Args:
        found: the instances.
        names: their categories.
    """
    shapes: list[dict[str, object]] = []
    for number, (name, score, rle) in enumerate(zip(names, found.scores.tolist(), found.rles, strict=True), start=1):
        parts = bitmask_to_polygons(rle_to_bitmask(rle))
        group = number if len(parts) > 1 else None
        shapes += [
            {
                "label": name,
                "shape_type": "polygon",
                "points": part.round(PX_DECIMALS).tolist(),
                "score": round(score, 6),
                "group_id": group,
            }
            for part in parts
        ]
    return shapes
