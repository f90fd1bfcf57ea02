"""Label Studio: COCO export, JSON and JSON-MIN."""
