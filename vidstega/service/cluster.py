"""joblib on a Dask cluster that may scale from nothing."""

from __future__ import annotations

from typing import Any

import joblib
from joblib._dask import DaskDistributedBackend

_PATIENCE_S = 60


class _Elastic(DaskDistributedBackend):  # type: ignore[misc]
    """joblib stays at home where it counts one core, but a cluster that grows on demand has to be asked."""

    def effective_n_jobs(self, n_jobs: int) -> int:
        return max(2, int(super().effective_n_jobs(n_jobs)))


def on_cluster(client: Any) -> Any:
    """Context in which all tasks go to this `distributed.Client`, however few workers it has just now.

    ``joblib.parallel_config(backend="dask")`` does the same for a cluster of two cores or more.

    Examples
    --------
    >>> with on_cluster(client):  # doctest: +SKIP
    ...     vidstega.embed("holiday.mp4", "stego.mp4", b"meet at noon", key="correct horse", n_jobs=-1)
    """
    return joblib.parallel_config(backend=_Elastic(client=client, wait_for_workers_timeout=_PATIENCE_S))
