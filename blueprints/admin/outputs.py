"""One output of a generation, for the page that shows it."""

from __future__ import annotations

from uuid import UUID

from flask import Response

from blueprints import access
from blueprints import outputs as files
from blueprints.admin import blueprint
from extensions import db
from makegood import outputs


@blueprint.get("/generations/<uuid:generation_id>/outputs/<int:number>")
@access.poll
def output(generation_id: UUID, number: int) -> Response:
    """Output `number` (from 1), if it is a picture, a video or a sound: kept by us, or fetched from its link."""
    found = outputs.find(db.session(), generation_id, number)
    db.session.close()
    return files.send(found, inline=True)
