"""Videos, cameras and folders of frames: read, tracked, and written as an overlay video, a table and a COCO json."""
