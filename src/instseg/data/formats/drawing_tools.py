"""Readers of labels as tools save them, one file for each image or one for all."""

from __future__ import annotations

from types import ModuleType

from instseg.data.formats.cvat import reader as cvat
from instseg.data.formats.darwin import reader as darwin
from instseg.data.formats.datumaro import reader as datumaro
from instseg.data.formats.labelme import reader as labelme
from instseg.data.formats.labelstudio import reader as labelstudio
from instseg.data.formats.supervisely import reader as supervisely
from instseg.data.formats.via import reader as via
from instseg.data.reading.readers import LabelReader

DRAWING_TOOLS: dict[str, tuple[ModuleType, type[LabelReader]]] = {
    "labelme": (labelme, labelme.LabelmeReader),
    "labelstudio": (labelstudio, labelstudio.LabelStudioReader),
    "via": (via, via.ViaReader),
    "cvat": (cvat, cvat.CvatReader),
    "supervisely": (supervisely, supervisely.SuperviselyReader),
    "darwin": (darwin, darwin.DarwinReader),
    "datumaro": (datumaro, datumaro.DatumaroReader),
}
"""Name, as in ``dataset=<name>`` -> its module and its reader, see ``auto.FORMATS``."""
