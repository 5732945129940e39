"""One output of a generation, as a file."""

from __future__ import annotations

from uuid import UUID

from flask import Response
from spectree import Response as Answers

from blueprints import outputs as files
from blueprints.api import blueprint
from blueprints.api.bodies import Error
from blueprints.api.contract import ALWAYS, DESCRIPTIONS, spec
from extensions import db
from makegood import outputs

ERRORS = {f"HTTP_{code}": (Error, DESCRIPTIONS[code]) for code in (*ALWAYS, 404)} | {
    "HTTP_410": (Error, "The output could be had for a limited time, which is over"),
    "HTTP_502": (Error, "The output could not be fetched from its provider, or may not be"),
}


@blueprint.get("/generations/<uuid:generation_id>/outputs/<int:number>")
@spec.validate(resp=Answers("HTTP_200", **ERRORS), tags=["generations"])
def get_output(generation_id: UUID, number: int) -> Response:
    """Output `number` (from 1) as a file: one that Makegood keeps, or what its link leads to.

    A link is fetched only from public addresses, over https, up to 256 MB, and only pictures, videos and sounds.
    An answer that is cut off before its Content-Length is not whole.
    """
    output = outputs.find(db.session, generation_id, number)
    db.session.close()
    return files.send(output, inline=False)
