"""Outputs as answers: kept files and downloads, handed on so that no browser takes them for a page."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator
from contextlib import ExitStack

import structlog
from flask import Response, current_app

from makegood import downloads
from makegood.downloads import DownloadRefused
from makegood.errors import MakegoodError
from makegood.outputs import Output

POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""A picture may carry scripts, as SVG does: opened by itself, it runs none and is of no origin."""

log = structlog.get_logger("makegood.outputs")


def send(output: Output, *, inline: bool) -> Response:
    """The output as a file, or `inline` for a page that shows it: then only pictures, videos and sounds.

    The caller has let go of the database: a download takes its time. Raises DownloadRefused and DownloadFailed.
    """
    if output.link is None:
        if inline and not output.content_type.startswith(downloads.MEDIA):
            raise DownloadRefused(
                "This output is no picture, video or sound, so it is not shown. No credits moved."
            )
        response = Response(output.content, content_type=output.content_type)
        return _with_headers(response, output, inline=inline)
    stack = ExitStack()
    download = stack.enter_context(
        downloads.open_link(output.link, allowed_origin=_configured_address(output.provider))
    )
    response = Response(_stream(stack, download.chunks, output), content_type=download.content_type)
    response.call_on_close(stack.close)  # where nobody reads the body, as with HEAD
    if download.length is not None:
        response.content_length = download.length
    return _with_headers(response, output, inline=inline)


def _configured_address(provider: str) -> str | None:
    connection = current_app.config["SETTINGS"].providers.get(provider)
    return connection.base_url if connection else None


def _stream(stack: ExitStack, chunks: Iterator[bytes], output: Output) -> Iterator[bytes]:
    try:
        with stack:
            yield from chunks
    except MakegoodError as error:
        # The status is sent already: all that is left is to cut the connection, so that nobody takes it for whole.
        log.warning("output cut", generation_id=str(output.generation_id), problem=error.code)
        raise


def _with_headers(response: Response, output: Output, *, inline: bool) -> Response:
    extension = mimetypes.guess_extension(response.mimetype) or ""
    name = f"{output.generation_id}-{output.number}{extension}"
    response.headers["Content-Disposition"] = f'{"inline" if inline else "attachment"}; filename="{name}"'
    response.headers["Content-Security-Policy"] = POLICY
    return response
