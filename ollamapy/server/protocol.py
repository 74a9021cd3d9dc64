"""uvicorn's HTTP parser, with a gap closed that it leaves for requests with a whole URL in their first line.

Source: RFC 9112, section 3.2.2: the host of such a URL counts, the Host header does not.
"""

from __future__ import annotations

import sys

if sys.platform == "win32":  # httptools is not installed there; h11 leaves the URL whole, so no route matches it
    from uvicorn.protocols.http.h11_impl import H11Protocol as HttpProtocol
else:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    class HttpProtocol(HttpToolsProtocol):
        """Hands the host that a request is really addressed to on to the guard."""

        def on_headers_complete(self) -> None:
            """Replace the Host header by the URL's host where there is one."""
            if not self.url.startswith(b"/"):
                authority = self.url.partition(b"://")[2].partition(b"/")[0]
                self.headers[:] = [header for header in self.headers if header[0] != b"host"]
                self.headers.append((b"host", authority))
            super().on_headers_complete()


__all__ = ["HttpProtocol"]
