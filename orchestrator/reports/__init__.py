"""What the commands that read finished sweeps do."""
