"""A conditional diffusion model: trained on four conditions, asked for eight."""
