"""What Prometheus is told. Labels are routes and outcomes, never ids, names or keys."""

from __future__ import annotations

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 900)
_RATIO = (0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0)


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        count = partial(Counter, registry=self._registry)
        gauge = partial(Gauge, registry=self._registry)
        seconds = partial(Histogram, registry=self._registry, buckets=_SECONDS)
        ratio = partial(Histogram, registry=self._registry, buckets=_RATIO)
        self.requests = count("vidstega_requests", "HTTP requests", ["method", "route", "status"])
        self.rejections = count("vidstega_rejections", "Requests that a limit turned away", ["limit"])
        self.job_seconds = seconds("vidstega_job_seconds", "Seconds a job ran", ["operation", "outcome"])
        self.wait_seconds = seconds("vidstega_job_wait_seconds", "Seconds a job waited")
        self.memory_ratio = ratio(
            "vidstega_job_memory_ratio", "Peak resident memory of a job over its prediction"
        )
        self.queue_length = gauge("vidstega_queue_length", "Jobs that wait")
        self.running = gauge("vidstega_jobs_running", "Jobs that run")
        self.uploading = gauge("vidstega_uploads", "Uploads under way")
        self.memory_admitted = gauge("vidstega_memory_admitted_bytes", "Predicted memory of running jobs")
        self.memory_budget = gauge("vidstega_memory_budget_bytes", "Budget of all jobs")
        self.disk_reserved = gauge("vidstega_disk_reserved_bytes", "Disk the jobs may use")
        for limit in ("rate", "queue", "memory", "disk", "size"):
            self.rejections.labels(limit)

    def page(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)
