"""YOLO text files, as Ultralytics reads them."""
