"""The HTTP API: routes, guards and streams. Home of starlette and uvicorn."""
