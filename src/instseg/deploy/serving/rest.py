"""The routes of the server's own: an image in, JSON or a picture out; its health and its numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from instseg import __version__
from instseg.deploy.serving.answers import Answer, MaskForm, Refusal, Shown, as_instance_map, as_json, as_overlay
from instseg.deploy.serving.limits import NO_IMAGE, TIMEOUT, TOO_LARGE, TOO_MANY, UNAVAILABLE, UNUSABLE
from instseg.deploy.serving.server import Server
from instseg.deploy.serving.uploads import FIELD, received_image
from instseg.prediction.writers.predicted_image import LoadedImage, PredictedImage

AnswerForm = Literal["json", "overlay", "instances"]
FILE = {"type": "string", "format": "binary"}
IMAGE_IN = {
    "required": True,
    "content": {
        "multipart/form-data": {"schema": {"type": "object", "required": [FIELD], "properties": {FIELD: FILE}}},
        "image/*": {"schema": FILE},
    },
}
"""The body of a request in the terms of OpenAPI."""
REFUSALS = {
    TIMEOUT: "the body did not arrive in time",
    TOO_LARGE: "too many bytes or pixels",
    NO_IMAGE: "no image",
    UNUSABLE: "a damaged image, or a parameter out of range",
    TOO_MANY: "too many requests at once",
    UNAVAILABLE: "no answer in time, or the server is stopping",
}
"""Status -> when."""
RESPONSES: dict[int | str, dict[str, object]] = {
    200: {"content": {"image/png": {}}},
    **{status: {"description": when, "model": Refusal} for status, when in REFUSALS.items()},
}


def routes(server: Server) -> APIRouter:
    """Return the routes.

    Args:
        server: that answers.
    """
    router = APIRouter()
    model = server.model

    @router.post(
        "/predict",
        response_model=Answer,
        responses=RESPONSES,
        openapi_extra={"requestBody": IMAGE_IN},
    )
    async def predict(
        request: Request,
        answer: Annotated[
            AnswerForm, Query(description="json; overlay: a PNG to look at; instances: a PNG, pixel value k instance k")
        ] = "json",
        masks: Annotated[MaskForm, Query(description="the form of the masks in the JSON")] = "rle",
        score_threshold: Annotated[
            float | None, Query(ge=0, le=1, description="of all categories; otherwise that of the server")
        ] = None,
        categories: Annotated[list[str], Query(description="only these; can be given several times")] = [],  # noqa: B006
    ) -> Response:
        """Find the instances on an image, which is the body of the request or the file ``image`` of a form."""
        thresholds = model.thresholds if score_threshold is None else model.thresholds_of(score_threshold)
        async with server.batches.place(), received_image(request, server.folder) as path:
            image, found = await server.find(path)
            kept = PredictedImage("", "", model.kept(found, thresholds, categories))
            shown = Shown(
                LoadedImage(kept, image), model.categories, model.version, thresholds.plain(), model.colour_by
            )
            content = await asyncio.to_thread(WRITERS[answer], shown, masks)
        server.meters.instances(model.names(kept.prediction.labels))
        return Response(content, media_type="application/json" if answer == "json" else "image/png")

    @router.get("/health")
    def health() -> Mapping[str, object]:
        """Say that the server is there, and with which model."""
        return {
            "status": "up",
            "model": model.version,
            "categories": list(model.categories.names),
            "device": model.predictor.network.device,
            "instseg": __version__,
        }

    @router.get("/metrics")
    def metrics() -> Response:
        """Return the numbers of the server in the format of Prometheus."""
        return Response(server.meters.text(), media_type=CONTENT_TYPE_LATEST)

    return router


Writer = Callable[[Shown, MaskForm], bytes]
WRITERS: Mapping[AnswerForm, Writer] = {"json": as_json, "overlay": as_overlay, "instances": as_instance_map}
"""Form of an answer -> what writes it."""
