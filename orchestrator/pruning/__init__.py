"""``prune``: finds what can be removed, and removes it.

facts      reads each sweep: its rows, its files, and whether it is running
items      groups files into items, one per line of the list, and finds those that are needed
remove     removes items so that a crash at any moment leaves consistent sweeps
command    chooses items, prints them, and removes them with --yes
"""
