"""From folders of labels to batches."""
