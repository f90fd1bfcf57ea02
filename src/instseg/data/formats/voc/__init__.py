"""Pascal VOC: xml with boxes and polygons, instance masks."""
