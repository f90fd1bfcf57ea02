"""The parts of a server that its routes share."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from instseg.deploy.serving.batches import Batches, Found
from instseg.deploy.serving.images import check_image
from instseg.deploy.serving.limits import Limits
from instseg.deploy.serving.meters import Meters
from instseg.deploy.serving.model import ServedModel


class Server:
    """A model, the images that wait for it, and the numbers about both.

    Args:
        model: that is served.
        batch_size: images at once in the network.
        limits: of the requests.
    """

    def __init__(self, model: ServedModel, batch_size: int, limits: Limits) -> None:
        self.model, self.limits = model, limits
        self.meters = Meters(lambda: self.batches.taken)
        self.batches = Batches(model.predictor, batch_size, limits, self.meters.batch)
        self.folder = Path()
        """For images on their way, while it is at work."""

    @asynccontextmanager
    async def at_work(self, app: object) -> AsyncIterator[None]:
        """Predict what comes; as the lifespan of an application.

        Args:
            app: the application.
        """
        with tempfile.TemporaryDirectory(prefix="instseg_serve_") as folder:
            self.folder = Path(folder)
            async with self.batches.at_work():
                yield

    async def find(self, path: Path) -> Found:
        """Return the pixels of an image file, and all that the network finds on them.

        Args:
            path: of the file, of which nothing is known.

        Raises:
            RefusedError: it is no image, too large, damaged, or waited too long.
        """
        await asyncio.to_thread(check_image, path, self.limits)
        return await self.batches.predict(path)
