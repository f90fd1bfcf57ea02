"""The protocol of Label Studio's ML backends, below ``/labelstudio``: its tasks in, pre-labels out."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
from fastapi import APIRouter, Request

from instseg.core.errors import InstsegError
from instseg.core.masks import rle_to_bitmask
from instseg.core.polygons import bitmask_to_polygons
from instseg.core.text import list_names
from instseg.core.types import Prediction
from instseg.deploy.serving.labelstudio_images import TaskImages
from instseg.deploy.serving.labelstudio_setup import LabellingSetup, read_setup
from instseg.deploy.serving.limits import UNUSABLE, RefusedError
from instseg.deploy.serving.server import Server
from instseg.prediction.writers.labelstudio_regions import Region, brush_region, mean_score, polygon_region

PREFIX = "/labelstudio"
log = logging.getLogger("instseg.serving")


class _Setup(msgspec.Struct):
    """The part of the request that connects a project which is of interest here."""

    schema: str
    project: str = ""
    access_token: str | None = None


class _Task(msgspec.Struct):
    data: dict[str, object]
    id: int | str | None = None


class _Tasks(msgspec.Struct):
    tasks: list[_Task]
    label_config: str
    project: str = ""


def routes(server: Server, images: TaskImages) -> APIRouter:
    """Return the routes.

    Args:
        server: that answers.
        images: of the tasks.
    """
    router = APIRouter(prefix=PREFIX, tags=["Label Studio"])
    backend = Backend(server, images)

    @router.get("/health")
    def health() -> Mapping[str, object]:
        """Say that the backend is there."""
        return {"status": "UP", "model_class": "instseg"}

    @router.post("/setup")
    async def setup(request: Request) -> Mapping[str, object]:
        """Connect a project, whose labelling setup must have a label for one of the categories."""
        return backend.setup(_parsed(await request.body(), _Setup))

    @router.get("/versions")
    def versions() -> Mapping[str, object]:
        """Name the one model that there is."""
        return {"versions": [server.model.version]}

    @router.post("/predict")
    async def predict(request: Request) -> Mapping[str, object]:
        """Return pre-labels for each task."""
        async with server.batches.place():
            return await backend.predict(_parsed(await request.body(), _Tasks), request)

    return router


Kind = TypeVar("Kind", _Setup, _Tasks)


def _parsed(content: bytes, kind: type[Kind]) -> Kind:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError(UNUSABLE, f"not a request of Label Studio: {error}") from error


class Backend:
    """A model as Label Studio sees it.

    Args:
        server: that answers.
        images: of the tasks.
    """

    def __init__(self, server: Server, images: TaskImages) -> None:
        self.server, self.images = server, images

    def setup(self, asked: _Setup) -> Mapping[str, object]:
        """Return the version of the model; a project that has no label for any category is refused."""
        found = self._read(asked.schema, asked.project)
        if missing := found.missing(self.server.model.categories):
            log.warning("project %s has no label for %s, which is left out", asked.project, list_names(missing))
        if asked.access_token:
            self.images.offer_token(asked.access_token)
        return {"model_version": self.server.model.version}

    async def predict(self, asked: _Tasks, request: Request) -> Mapping[str, object]:
        """Return a result for each task, in their order; of a task that cannot be predicted it is empty.

        Args:
            asked: the tasks.
            request: that is given up where its sender has left.

        Raises:
            RefusedError: none of the tasks can be predicted.
        """
        setup, at_once = self._read(asked.label_config, asked.project), self.server.batches.batch_size
        results: list[Mapping[str, object] | RefusedError] = []
        for start in range(0, len(asked.tasks), at_once):
            if await request.is_disconnected():  # Label Studio waits for ML_TIMEOUT_PREDICT seconds
                break
            together = asked.tasks[start : start + at_once]
            results += await asyncio.gather(*(self._task_or_error(task, setup) for task in together))
        failed = [found for found in results if isinstance(found, RefusedError)]
        if failed and len(failed) == len(results):
            raise failed[0]
        answered = [[] if isinstance(found, RefusedError) else found for found in results]
        return {"results": answered, "model_version": self.server.model.version}

    def _read(self, label_config: str, project: str) -> LabellingSetup:
        try:
            return read_setup(label_config, self.server.model.categories)
        except InstsegError as error:  # Label Studio shows its people the code alone
            log.warning("project %s: %s", project, error)
            raise

    async def _task_or_error(self, task: _Task, setup: LabellingSetup) -> Mapping[str, object] | RefusedError:
        try:
            return await self._task(task, setup)
        except RefusedError as error:
            log.warning("task %s: %s", task.id, error)
            return error

    async def _task(self, task: _Task, setup: LabellingSetup) -> Mapping[str, object]:
        given, model = task.data.get(setup.image_key), self.server.model
        if not isinstance(given, str):
            raise RefusedError(UNUSABLE, f"the task has no image as {setup.image_key!r}")
        with tempfile.NamedTemporaryFile(dir=self.server.folder) as scratch:
            path = await asyncio.to_thread(self.images.find, given, Path(scratch.name))
            _, found = await self.server.find(path)
        kept = model.kept(found, model.thresholds, [*setup.targets])
        names = model.names(kept.labels)
        self.server.meters.instances(names)
        regions = await asyncio.to_thread(as_regions, kept, names, setup)
        return {"result": regions, "score": mean_score(regions), "model_version": model.version}


def as_regions(found: Prediction, names: Sequence[str], setup: LabellingSetup) -> Sequence[Region]:
    """Return instances as regions, each in the shape that the setup has for its category.

    Args:
        found: instances of categories that have a label.
        names: their categories.
        setup: of the project.
    """
    regions = []
    instances = zip(names, found.scores.tolist(), found.rles, strict=True)
    for number, (name, score, rle) in enumerate(instances, start=1):
        target = setup.targets[name]
        if target.shape == "brush":
            regions.append(brush_region(target.control, number, rle, target.label, score))
        elif polygons := bitmask_to_polygons(rle_to_bitmask(rle)):
            regions.append(polygon_region(target.control, number, polygons, target.label, score, found.image_size))
    return regions
