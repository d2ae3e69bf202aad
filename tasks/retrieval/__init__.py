"""Image-text retrieval finetuning: the paper's section 2.2."""
