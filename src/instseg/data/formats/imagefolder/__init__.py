"""ImageFolder of Hugging Face."""
