"""uvicorn's HTTP parser, with two gaps closed: whole URLs in a request's first line, and headers without an end.

Source: RFC 9112, section 3.2.2: the host of such a URL counts, the Host header does not. RFC 6585, section 5: 431.
"""

from __future__ import annotations

import sys

if sys.platform == "win32":  # httptools is not installed there; h11 leaves the URL whole, so no route matches it
    from uvicorn.protocols.http.h11_impl import H11Protocol as HttpProtocol
else:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    MAX_HEADER_BYTES = 64 * 1024
    _COMPLAINT = b"the request's headers are larger than 64 KiB"
    _REFUSAL = (
        b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
        b"content-length: %d\r\nconnection: close\r\n\r\n%s" % (len(_COMPLAINT), _COMPLAINT)
    )

    class HttpProtocol(HttpToolsProtocol):
        """Hands the host that a request is really addressed to on to the guard, and bounds headers and trailers."""

        _header_bytes = 0  # since the last piece of a body, or end of headers or of a request

        def data_received(self, data: bytes) -> None:
            """Parse what arrived, and no more of it than headers may have before their end is seen."""
            rest = data
            while rest and not self.transport.is_closing():
                piece = rest[: MAX_HEADER_BYTES + 1 - self._header_bytes]
                rest = rest[len(piece) :]
                self._header_bytes += len(piece)
                super().data_received(piece)
                if self._header_bytes > MAX_HEADER_BYTES:
                    self._refuse_headers()

        def on_body(self, body: bytes) -> None:
            """Hand on a piece of a body, which has a bound of its own."""
            self._header_bytes = 0
            super().on_body(body)

        def on_message_complete(self) -> None:
            """Count anew for the next request."""
            self._header_bytes = 0
            super().on_message_complete()

        def _refuse_headers(self) -> None:
            self.logger.warning("a request was refused: its headers are larger than %d bytes", MAX_HEADER_BYTES)
            if self.cycle is None or self.cycle.response_complete:  # else it would stand in another answer
                self.transport.write(_REFUSAL)
            self.transport.close()

        def on_headers_complete(self) -> None:
            """Replace the Host header by the URL's host where there is one."""
            self._header_bytes = 0
            if not self.url.startswith(b"/"):
                authority = self.url.partition(b"://")[2].partition(b"/")[0]
                self.headers[:] = [header for header in self.headers if header[0] != b"host"]
                self.headers.append((b"host", authority))
            super().on_headers_complete()


__all__ = ["HttpProtocol"]
