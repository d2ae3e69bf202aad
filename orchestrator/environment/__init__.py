"""What a sweep ran with: versions, hardware, the state of the checkout."""
