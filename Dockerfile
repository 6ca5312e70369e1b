# The team's Airflow: the official image, with the locked packages in an environment of their own.
#
# What the official image has installed stays unused: its pins and ours differ, and of two sets of versions in
# one environment neither would be the one that was tested.
ARG AIRFLOW=apache/airflow:3.3.2-python3.11

FROM ${AIRFLOW} AS locked
# docker, or cluster with what Celery workers and object storage need.
ARG PINS=docker
USER root
WORKDIR /build
COPY requirements/install.py requirements/uv.txt requirements/docker.txt requirements/cluster.txt requirements/
RUN --mount=type=cache,target=/tmp/.cache,id=notebook-pipeline \
    UV_LINK_MODE=copy python requirements/install.py /opt/pipeline requirements/${PINS}.txt
COPY pyproject.toml README.md LICENSE ./
COPY notebook_pipeline notebook_pipeline
RUN PIP_USER=false /opt/pipeline/bin/python -m pip install -q --no-deps --no-build-isolation --no-cache-dir . \
    && /opt/pipeline/bin/python -m pip check

# JupyterLab has an environment of its own here too; its kernel is the one that tasks use.
FROM locked AS lab-locked
COPY requirements/lab.txt requirements/
RUN --mount=type=cache,target=/tmp/.cache,id=notebook-pipeline \
    UV_LINK_MODE=copy python requirements/install.py /opt/lab requirements/lab.txt \
    && /opt/pipeline/bin/python -m ipykernel install --prefix /opt/lab --name python3

FROM ${AIRFLOW} AS pipeline
USER root
# A new named volume takes over the owner and the rights of the folder that it is mounted on.
RUN install -d -o airflow -g 0 -m 2770 /opt/airflow/output /opt/airflow/auth \
    && install -d -o airflow -g 0 -m 2775 /opt/airflow/logs /opt/airflow/notebooks /opt/airflow/data
COPY --from=locked /opt/pipeline /opt/pipeline
COPY --chown=airflow:0 data /opt/airflow/data
COPY --chown=airflow:0 notebooks /opt/airflow/notebooks
# The notebooks' start page leads to it.
COPY --chown=airflow:0 README.md /opt/airflow/
COPY --chown=airflow:0 dags /opt/airflow/dags
COPY --chown=airflow:0 datasets /opt/airflow/datasets
USER airflow
ENV PATH=/opt/pipeline/bin:$PATH \
    VIRTUAL_ENV=/opt/pipeline \
    NOTEBOOK_PIPELINE_HOME=/opt/airflow

FROM pipeline AS lab
COPY --from=lab-locked /opt/lab /opt/lab
ENTRYPOINT ["/opt/lab/bin/jupyter-lab"]

# Without a target, the image without JupyterLab is built.
FROM pipeline
