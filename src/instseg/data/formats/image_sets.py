"""Readers of sets of images with their labels, as they are exported or published."""

from __future__ import annotations

from types import ModuleType

from instseg.data.formats.coco import reader as coco
from instseg.data.formats.imagefolder import reader as imagefolder
from instseg.data.formats.mask_folder import reader as mask_folder
from instseg.data.formats.openimages import reader as openimages
from instseg.data.formats.panoptic import reader as panoptic
from instseg.data.formats.voc import reader as voc
from instseg.data.formats.yolo import reader as yolo
from instseg.data.reading.readers import LabelReader

IMAGE_SETS: dict[str, tuple[ModuleType, type[LabelReader]]] = {
    "coco": (coco, coco.CocoReader),
    "openimages": (openimages, openimages.OpenImagesReader),
    "voc": (voc, voc.VocReader),
    "mask_folder": (mask_folder, mask_folder.MaskFolderReader),
    "yolo": (yolo, yolo.YoloReader),
    "panoptic": (panoptic, panoptic.PanopticReader),
    "imagefolder": (imagefolder, imagefolder.ImageFolderReader),
}
"""Name, as in ``dataset=<name>`` -> its module and its reader, see ``auto.FORMATS``."""
