"""GeoJSON: valid polygons with holes, in pixels or on the map of a GeoTIFF."""

import json

import numpy as np
import pytest
from export_factories import PIXEL, RING, TWO_PARTS, export, export_run, predicted
from factories import drawn
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from instseg.core.masks import polygon_area
from instseg.core.polygons import connected_parts
from instseg.prediction.writers import georeference
from instseg.prediction.writers.geojson import NEEDS_RASTERIO, GeoJson
from instseg.prediction.writers.predicted_image import LoadedImage, PredictedImage

CORNER = drawn("##..", "##..", "..##", "..##")


def features(writer, stem="a"):
    return json.loads((writer.path / f"{stem}.geojson").read_text())["features"]


def test_a_hole_is_a_ring_of_its_own_that_runs_the_other_way_around(tmp_path):
    (feature,) = features(export(GeoJson, tmp_path, {"a.png": predicted(RING)}))
    outer, hole = feature["geometry"]["coordinates"]
    assert feature["geometry"]["type"] == "Polygon" and outer[0] == outer[-1]
    assert sorted(outer[1:]) == [[1, 1], [1, 4], [5, 1], [5, 4]]
    assert sorted(hole[1:]) == [[2, 2], [2, 3], [4, 2], [4, 3]]
    assert (area(outer), area(hole)) == (12, -2)


def area(ring):
    x, y = np.array(ring[:-1]).T
    return (x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def test_parts_even_those_that_touch_at_a_corner_are_several_polygons(tmp_path):
    touching, apart = features(export(GeoJson, tmp_path, {"a.png": predicted(CORNER, CORNER * 0 + [1, 0, 1, 0])}))
    assert touching["geometry"]["type"] == apart["geometry"]["type"] == "MultiPolygon"
    assert len(touching["geometry"]["coordinates"]) == len(apart["geometry"]["coordinates"]) == 2


def test_a_feature_says_category_score_and_colour_as_qupath_reads_them(tmp_path):
    _, sign = features(export(GeoJson, tmp_path, {"a.png": predicted(RING, TWO_PARTS)}))
    found = sign["properties"]
    assert (found["category"], found["score"], found["objectType"]) == ("traffic sign", 0.8, "annotation")
    assert found["classification"]["name"] == "traffic sign" and len(found["classification"]["color"]) == 3


def test_an_image_without_instances_has_no_features(tmp_path):
    assert features(export(GeoJson, tmp_path, {"a.png": predicted()})) == []


@given(arrays(np.uint8, (5, 6), elements=st.integers(0, 1)))
def test_no_ring_meets_itself_and_the_areas_add_up_to_the_mask(mask):
    parts = connected_parts(mask)
    for part in parts:
        for ring in part:
            assert len({tuple(point) for point in ring}) == len(ring)
    assert sum(polygon_area(part[0]) - sum(map(polygon_area, part[1:])) for part in parts) == mask.sum()


@pytest.fixture
def geotiff(tmp_path):
    """The run and the image of a GeoTIFF of 8 x 6 px, half a metre each, whose upper left corner is at 500,000 E."""
    rasterio = pytest.importorskip("rasterio")
    run = export_run(tmp_path)
    run.image_folder.mkdir()
    transform = rasterio.Affine(0.5, 0, 500_000, 0, -0.5, 4_600_000)
    about = {"driver": "GTiff", "height": 6, "width": 8, "count": 3, "dtype": "uint8"}
    with rasterio.open(run.image_folder / "a.tif", "w", crs="EPSG:32633", transform=transform, **about) as file:
        file.write(np.zeros((3, 6, 8), np.uint8))
    return run, LoadedImage(PredictedImage("a.tif", "a", predicted(PIXEL)), np.zeros((6, 8, 3), np.uint8))


def written(run, image):
    writer = GeoJson()
    writer.start(run)
    writer.add(image)
    return writer, json.loads((writer.path / "a.geojson").read_text())


def test_instances_of_a_geotiff_lie_on_its_map(geotiff):
    _, content = written(*geotiff)
    assert content["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::32633"
    (ring,) = content["features"][0]["geometry"]["coordinates"]
    assert sorted(ring[1:]) == [[500001, 4599998.5], [500001, 4599999], [500001.5, 4599998.5], [500001.5, 4599999]]
    assert area(ring) == 0.25


def test_without_rasterio_they_have_pixels_and_a_note_says_what_to_install(geotiff, monkeypatch):
    monkeypatch.setattr(georeference, "import_module", lambda name: (_ for _ in ()).throw(ImportError(name)))
    writer, content = written(*geotiff)
    assert "crs" not in content and writer.notes == [NEEDS_RASTERIO]
