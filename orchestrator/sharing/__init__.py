"""Take a sweep or a model elsewhere: export, archive, replay, verify."""
