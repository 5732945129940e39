"""The payment check: is everything that was paid for credited, and was everything that is credited paid for?"""

from __future__ import annotations

from flask import render_template

from blueprints import access
from blueprints.admin import blueprint
from blueprints.admin.purchases import about
from extensions import db
from makegood import throttles
from makegood.purchases import checks
from makegood.purchases.history import KINDS
from makegood.stats import begin_snapshot
from makegood.stripe import progress

SHOWN = 200


@blueprint.get("/purchases/check")
@access.throttled(throttles.STATS)
def purchase_check() -> str:
    """Looks now, at everything."""
    begin_snapshot(db.session())
    found = checks.run(db.session())
    unread = [progress.title(name) for name in found.unread]
    return render_template(
        "admin/purchase_check.html", found=found, unread=unread, kinds=KINDS, shown=SHOWN, **about()
    )
