"""The captioning task: compare settings for decoding captions."""
