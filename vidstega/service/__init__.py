"""The HTTP service (extra ``vidstega[service]``): many users on one machine, within a memory budget.

``vidstega serve`` starts it. Arrows point one way: `cli` -> `app` -> `jobs` -> `store`, `child`; what runs
in a child process is `worker` alone, the only module here that lets libav see what a stranger sent.
"""
