"""Running a matrix: fresh processes, memory from outside, a results file that can go on."""

from vidstega.lab.runner.session import run_matrix

__all__ = ["run_matrix"]
