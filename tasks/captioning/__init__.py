"""Image captioning under different decoding settings."""
