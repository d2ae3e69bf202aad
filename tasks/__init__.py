"""What one trial does: a folder a task, beside the data sets and models they share."""
