"""``prune``: what can be removed, what must stay, and the removal.

facts      what is known of each sweep: its rows, files, and whether it runs
items      what there is to remove, an item a line of the listing
remove     removes items so that a crash at any moment leaves consistent sweeps
command    chooses, prints, and removes if that is asked for
"""
