"""One reader per annotation format, each: folder -> COCO dictionaries."""
