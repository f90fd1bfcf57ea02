"""GeoJSON: polygons with real holes, for QuPath and for QGIS and other programs that show maps (RFC 7946)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from instseg.core.files import write_json
from instseg.core.masks import rle_to_crop
from instseg.core.polygons import connected_parts
from instseg.core.types import Polygon
from instseg.prediction.writers.georeference import Georeference, georeference_of, is_georeferenced
from instseg.prediction.writers.predicted_image import LoadedImage
from instseg.prediction.writers.writer import Writer
from instseg.visualization.colours import category_colour

NEEDS_RASTERIO = (
    'geojson has the coordinates of pixels; for those of the maps of your GeoTIFFs: pip install "instseg[geo]"'
)


class GeoJson(Writer):
    """Writer of ``geojson/<image>.geojson``: a feature for each instance, along the edges of its pixels.

    Coordinates are x and y in px from the upper left corner, and those of the map for a GeoTIFF where rasterio is
    installed. ``objectType`` and ``classification`` are QuPath's.
    """

    writes = "geojson"

    def add(self, image: LoadedImage) -> None:
        """Write the file of an image."""
        path = self.run.image_folder / image.file
        georeference = georeference_of(path, image.prediction.image_size)
        if georeference is None and is_georeferenced(path) and NEEDS_RASTERIO not in self.notes:
            self.notes.append(NEEDS_RASTERIO)
        content: dict[str, object] = {
            "type": "FeatureCollection",
            "features": list(self._features(image, georeference)),
        }
        if georeference is not None:
            content["crs"] = {"type": "name", "properties": {"name": georeference.crs}}
        write_json(self.path / f"{image.stem}.geojson", content)

    def _features(self, image: LoadedImage, georeference: Georeference | None) -> Iterator[dict[str, object]]:
        found = image.prediction
        place = georeference.to_map if georeference else _as_it_is
        for label, score, rle in zip(found.labels, found.scores, found.rles, strict=True):
            name = self.run.categories.name(int(label))
            crop, corner = rle_to_crop(rle)
            parts = [[ring + corner for ring in part] for part in connected_parts(crop)]
            yield {
                "type": "Feature",
                "geometry": _geometry([[place(ring) for ring in part] for part in parts]),
                "properties": {
                    "category": name,
                    "score": round(float(score), 6),
                    "objectType": "annotation",
                    "classification": {"name": name, "color": list(category_colour(int(label)))},
                    "measurements": {"score": round(float(score), 6)},
                },
            }


def _as_it_is(ring: Polygon) -> Polygon:
    return ring


def _geometry(parts: Sequence[Sequence[Polygon]]) -> dict[str, object]:
    """Return one polygon, or several for an instance in parts."""
    polygons = [[_ring(ring, is_outer=number == 0) for number, ring in enumerate(part)] for part in parts]
    if len(polygons) == 1:
        return {"type": "Polygon", "coordinates": polygons[0]}
    return {"type": "MultiPolygon", "coordinates": polygons}


def _ring(points: Polygon, is_outer: bool) -> list[list[float]]:
    """Return a closed ring that runs as the standard wants it: counterclockwise outside, clockwise around a hole."""
    x, y = points.T
    is_counterclockwise = float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) > 0
    ordered = points if is_counterclockwise == is_outer else points[::-1]
    closed: list[list[float]] = np.concatenate([ordered, ordered[:1]]).tolist()
    return closed
