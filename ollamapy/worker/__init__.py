"""The child process that owns one model: llama.cpp does the arithmetic, this package schedules tokens around it.

Nothing imports this package; the runner starts it as `python -m ollamapy.worker` and talks `ollamapy.wire` to it.
"""
