"""The payment check: is everything that was paid for credited, and was everything that is credited paid for?"""

from __future__ import annotations

from flask import flash, redirect, render_template, url_for
from werkzeug import Response

from blueprints import access, formats
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
    """Looks now, at all that was not in order a day ago or changed since."""
    begin_snapshot(db.session())
    found = checks.run(db.session())
    unread = [progress.title(name) for name in found.unread]
    return render_template(
        "admin/purchase_check.html", found=found, unread=unread, kinds=KINDS, shown=SHOWN, **about()
    )


@blueprint.post("/purchases/check")
@access.requires("link_stripe")
@access.throttled(throttles.STATS)
def check_purchases() -> Response:
    """Look now as the worker does each day: what is found opens the alerts, and what is over ends them."""
    found = checks.run_and_alert(db.session())
    db.session.commit()
    wrong = len(found.late) + len(found.not_paid)
    words = f"{formats.counted(wrong, 'finding')} to look at, with an alert" if wrong else "nothing that alerts"
    flash(f"Checked: {words}.", "info" if wrong else "ok")
    return redirect(url_for("admin.purchase_check"), 303)
