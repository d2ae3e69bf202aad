"""Image-text retrieval finetuning: the report's section 2.2."""
