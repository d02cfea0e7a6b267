"""What Prometheus is told. Labels are routes and outcomes, never ids, names or keys."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 900)
_RATIO = (0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0)


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "vidstega_requests", "HTTP requests", ["method", "route", "status"], registry=registry
        )
        self.job_seconds = Histogram(
            "vidstega_job_seconds", "Seconds a job ran", ["operation", "outcome"], buckets=_SECONDS,
            registry=registry,
        )  # fmt: skip
        self.wait_seconds = Histogram(
            "vidstega_job_wait_seconds", "Seconds a job waited", buckets=_SECONDS, registry=registry
        )
        self.memory_ratio = Histogram(
            "vidstega_job_memory_ratio", "Peak resident memory of a job over its prediction", buckets=_RATIO,
            registry=registry,
        )  # fmt: skip
        self.queue_length = Gauge("vidstega_queue_length", "Jobs that wait", registry=registry)
        self.running = Gauge("vidstega_jobs_running", "Jobs that run", registry=registry)
        self.uploading = Gauge("vidstega_uploads", "Uploads under way", registry=registry)
        self.memory_admitted = Gauge(
            "vidstega_memory_admitted_bytes", "Predicted memory of the jobs that run", registry=registry
        )
        self.memory_budget = Gauge("vidstega_memory_budget_bytes", "Budget of all jobs", registry=registry)
        self.disk_reserved = Gauge("vidstega_disk_reserved_bytes", "Disk the jobs may use", registry=registry)
        self.rejections = Counter(
            "vidstega_rejections", "Requests that a limit turned away", ["limit"], registry=registry
        )
        for limit in ("rate", "queue", "memory", "disk", "size"):
            self.rejections.labels(limit)

    def page(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)
