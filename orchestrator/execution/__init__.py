"""How trials run on either engine: packs, steps, stages, and what happens when a worker is lost."""
