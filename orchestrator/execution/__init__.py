"""Runs trials on either engine: packs, steps, shared stages, and recovery of lost workers."""
