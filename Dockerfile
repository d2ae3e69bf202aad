# An image with this project, Ray and its dashboard, for docker run and Kubernetes.
#
#     docker build -t sweep .                                  # torch from PyPI, which runs on GPUs
#     docker build -t sweep --build-arg TORCH_INDEX=URL .      # torch from another index, such as for CPUs
#     docker run --rm --shm-size=4g --gpus all -v "$PWD/runs:/sweep/runs" sweep sweep retrieval
#
# torch brings CUDA's libraries, and the host the driver, so a small base image is enough.
ARG PYTHON=3.11
FROM python:${PYTHON}-slim-bookworm

# KubeRay's health checks use wget.
RUN apt-get update \
    && apt-get install -y --no-install-recommends wget=1.21.* \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/sweep
COPY requirements.lock ./
ARG TORCH_INDEX=
# torch first, so that a change of the code does not download it again.
# hadolint ignore=DL3013
RUN torch="$(grep '^torch==' requirements.lock)" \
    && if [ -n "$TORCH_INDEX" ]; then \
        pip install --no-cache-dir --no-deps --index-url "$TORCH_INDEX" "$torch"; \
    fi \
    && pip install --no-cache-dir -c requirements.lock "$torch" "ray[default,tune]"
COPY . .
RUN pip install --no-cache-dir -c requirements.lock ".[all]"

# Runs without root. `docker run --user` takes the number of another user.
RUN useradd --create-home --uid 1000 researcher && install -d -o researcher /sweep /sweep/runs
USER 1000
WORKDIR /sweep
# Which GPUs and driver libraries NVIDIA's container runtime shows.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    RAY_USAGE_STATS_ENABLED=0
ENTRYPOINT ["python", "-m", "orchestrator"]
