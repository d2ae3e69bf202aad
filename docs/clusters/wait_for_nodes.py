"""Wait until a Ray cluster has a number of nodes: ``python wait_for_nodes.py HOST:PORT NODES``.

A sweep plans its workers for the nodes that have joined when it starts.
"""

import subprocess
import sys
import time

import ray

SECONDS = 300

address, wanted = sys.argv[1], int(sys.argv[2])
deadline = time.monotonic() + SECONDS
check = ["ray", "health-check", "--address", address]
while subprocess.run(check, capture_output=True).returncode:
    if time.monotonic() > deadline:
        sys.exit(f"Ray does not answer at {address} after {SECONDS} seconds")
    time.sleep(1)
ray.init(address, log_to_driver=False)
while (joined := sum(node["Alive"] for node in ray.nodes())) < wanted:
    if time.monotonic() > deadline:
        sys.exit(f"{joined} of {wanted} nodes have joined Ray after {SECONDS} seconds")
    time.sleep(1)
