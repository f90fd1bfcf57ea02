"""What is wrong or doubtful about a dataset, found before any training: counted, named, shown, with the way out."""
