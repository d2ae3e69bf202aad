"""The retrieval task: finetune image-text models, as in the paper's section 2.2."""
