"""What a trial leaves on the disk: checkpoints while it runs, weights when it ends."""
